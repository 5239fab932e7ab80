"""`/jobs` of the local API: the same queue and the same actions as the window's and the terminal's."""

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Callable
from typing import Any, Literal

from fastapi import APIRouter, Body, Query, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

from desktop_app import paths
from desktop_app.domain.event import parse_event
from desktop_app.domain.job import Job, JobMarks, JobState
from desktop_app.domain.spec import JobSpec
from desktop_app.errors import JobError, StorageError
from desktop_app.job_folder import JobFolder, read_lines
from desktop_app.jobs import submit
from desktop_app.jobs.findings import findings_of
from desktop_app.storage.index import Index

from .words_route import PROBLEMS, UnknownError, WordsRoute
from .zip_stream import zipped

_POLL_S = 0.25
_KEEP_ALIVE_S = 15.0


class Submitted(BaseModel):
    """The id of a job that waits now."""

    id: str


class Asked(BaseModel):
    """What was asked for; the worker obeys at its next step."""

    id: str
    asked: Literal[True] = True


class JobAnswer(BaseModel, extra="allow"):
    """A job as the history knows it; times are Unix seconds, sizes bytes."""

    id: str
    kind: str
    state: JobState
    sentence: str
    spec: dict[str, Any]


class Jobs(BaseModel):
    """Jobs, the newest first."""

    jobs: list[JobAnswer]


class History(Jobs):
    """One page of what was found, and how much there is in all."""

    total: int


class Findings(BaseModel):
    """What the figures of a training that ended mean; each with its evidence and what to try."""

    findings: list[dict[str, Any]]


class Note(BaseModel, extra="forbid"):
    """The user's words about a job."""

    text: str = Field(max_length=2000)


def job_router() -> APIRouter:
    """Return the routes below `/jobs`."""
    router = APIRouter(prefix="/jobs", route_class=WordsRoute, tags=["jobs"], responses=PROBLEMS)
    router.post("", status_code=201)(submit_job)
    router.get("")(list_jobs)
    router.get("/{job_id}")(show_job)
    router.get("/{job_id}/findings")(show_findings)
    router.delete("/{job_id}", status_code=204)(delete_job)
    router.get("/{job_id}/events", response_class=StreamingResponse)(stream_events)
    router.get("/{job_id}/result.zip", response_class=StreamingResponse)(download_result)
    router.put("/{job_id}/note", status_code=204)(write_note)
    router.put("/{job_id}/marks", status_code=204)(write_marks)
    for name, action in _ACTIONS.items():
        router.post(f"/{{job_id}}/{name}", name=name, summary=name.capitalize())(_acting(action))
    return router


def history_router() -> APIRouter:
    """Return the route `/history`."""
    router = APIRouter(prefix="/history", route_class=WordsRoute, tags=["jobs"], responses=PROBLEMS)
    router.get("")(search_history)
    return router


_ACTIONS = {
    "cancel": submit.cancel,
    "pause": submit.pause,
    "resume": submit.resume,
    "stop": submit.stop,
    "continue": submit.run_on,
    "continue-smaller": submit.run_on_smaller,
    "save": submit.save_now,
    "measure": submit.measure_now,
}


def submit_job(spec: JobSpec = Body()) -> Submitted:
    """Hand in a job; it waits its turn and runs on without this connection."""
    return Submitted(id=submit.submit(spec))


def list_jobs(state: JobState | None = None, limit: int = Query(1000, ge=0)) -> Jobs:
    """List jobs, the newest first; `state` keeps those in one state."""
    jobs = [job for job in Index(paths.index_file()).jobs() if state is None or job.state is state]
    return Jobs(jobs=[_answer(job) for job in jobs[:limit]])


def search_history(
    text: str = "",
    kind: str = "",
    state: JobState | None = None,
    tag: str = "",
    is_archived: bool | None = None,
    since: float = 0.0,
    offset: int = Query(0, ge=0),
    limit: int = Query(100, ge=1, le=1000),
) -> History:
    """Search all jobs, the newest first: every word of `text` occurs in name, model, data, message, tags or note.

    `since` is Unix seconds; of what is found `limit` from `offset` on are shown.
    """
    words = text.lower().split()

    def is_wanted(job: Job) -> bool:
        is_kind = (not kind or job.kind == kind) and (state is None or job.state is state) and job.created >= since
        is_marked = (not tag or tag in job.tags) and is_archived in (None, job.is_archived)
        searched = job.words
        return is_kind and is_marked and all(word in searched for word in words)

    found = [job for job in Index(paths.index_file()).jobs() if is_wanted(job)]
    return History(total=len(found), jobs=[_answer(job) for job in found[offset : offset + limit]])


def write_note(job_id: str, note: Note = Body()) -> None:
    """Keep the user's words about a job, in place of earlier ones."""
    _folder(job_id)
    submit.set_note(job_id, note.text)


def write_marks(job_id: str, marks: JobMarks = Body()) -> None:
    """Keep a job's tags and whether it is archived, in place of earlier ones."""
    submit.set_marks(job_id, marks)


def show_job(job_id: str) -> JobAnswer:
    """Show one job."""
    job = Index(paths.index_file()).job(job_id)
    if job is not None:
        return _answer(job)
    spec = _folder(job_id).read_spec()  # just handed in: the supervisor has not seen it yet
    queued = JobState.QUEUED
    return JobAnswer(
        id=job_id, kind=spec.kind, state=queued, sentence=queued.sentence, spec=spec.model_dump(mode="json")
    )


def show_findings(job_id: str) -> Findings:
    """Say what a training that ended means; nothing of other jobs."""
    show_job(job_id)
    job = Index(paths.index_file()).job(job_id)
    return Findings(findings=[dataclasses.asdict(each) for each in (findings_of(job) if job is not None else [])])


def delete_job(job_id: str) -> None:
    """Remove a job that has ended from the history, with its files."""
    show_job(job_id)
    submit.delete(job_id)


async def stream_events(job_id: str, request: Request, offset: int = Query(0, ge=0)) -> StreamingResponse:
    """Stream a job's events as server-sent events, from byte `offset` or after `Last-Event-ID`.

    Each event's id is the byte offset behind it in `events.jsonl`. After the job's end comes an event
    named `end` with its outcome, and the stream closes.
    """
    folder = await asyncio.to_thread(_folder, job_id)
    last = request.headers.get("last-event-id", "")
    start = int(last) if last.isdigit() else offset
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(_events(folder, start), media_type="text/event-stream", headers=headers)


def download_result(job_id: str) -> StreamingResponse:
    """Download the result folder as a zip file, uncompressed, as it is read."""
    job = Index(paths.index_file()).job(job_id)
    if job is None:
        _folder(job_id)
    if job is None or not job.result:
        raise JobError(f"Job {job_id} has no result.", "Only jobs that succeeded have one.")
    content = zipped(job.result, job_id)
    if content is None:
        raise StorageError(f"{job.result} is no longer there.", "It may have been moved, renamed or deleted.")
    headers = {"Content-Disposition": f'attachment; filename="{job_id}.zip"', "Cache-Control": "no-store"}
    return StreamingResponse(content, media_type="application/zip", headers=headers)


def _acting(action: Callable[[str], object]) -> Callable[[str], Asked]:
    def act(job_id: str) -> Asked:
        _folder(job_id)
        action(job_id)
        return Asked(id=job_id)

    act.__doc__ = (action.__doc__ or "").partition("\n")[0]
    return act


def _folder(job_id: str) -> JobFolder:
    try:
        return submit.folder_of(job_id)
    except JobError as error:
        raise UnknownError(error.message, error.hint) from error


async def _events(folder: JobFolder, offset: int) -> AsyncIterator[str]:
    quiet_s = 0.0
    while True:
        has_ended = folder.has_outcome  # before reading: what comes after it is not missed
        lines, end = await asyncio.to_thread(read_lines, folder.events_file, offset)
        for line in lines:
            offset += len(line) + 1
            event = parse_event(line)
            if event is not None:
                yield _message(event.kind, line.decode("utf-8"), offset)
        offset = end
        if lines:
            quiet_s = 0.0
            continue
        if has_ended or not folder.path.is_dir():
            outcome = folder.read_outcome()
            yield _message("end", outcome.model_dump_json() if outcome else "{}", offset)
            return
        quiet_s += _POLL_S
        if quiet_s >= _KEEP_ALIVE_S:
            quiet_s = 0.0
            yield ": still here\n\n"
        await asyncio.sleep(_POLL_S)


def _message(name: str, data: str, offset: int) -> str:
    return f"id: {offset}\nevent: {name}\ndata: {data}\n\n"


def _answer(job: Job) -> JobAnswer:
    return JobAnswer(**{**dataclasses.asdict(job), "sentence": job.state.sentence})
