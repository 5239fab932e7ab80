"""The local JSON API, `/api/v1`: the same actions as the window, for scripts.

Stands on the window's own server and behind its guard; knows neither. Every problem is answered as
`{"error", "message", "hint"}` with a status of 4xx.
"""

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, StreamingResponse
from fastapi.routing import APIRoute

from desktop_app import paths
from desktop_app.domain.event import parse_event
from desktop_app.domain.job import Job
from desktop_app.domain.spec import parse_spec_text
from desktop_app.errors import AppError, JobError, SpecError, error_kind
from desktop_app.job_folder import JobFolder, read_lines
from desktop_app.jobs import submit
from desktop_app.library.model_folder import model_facts
from desktop_app.storage.index import Index

PREFIX = "/api/v1"
_MAX_SPEC_BYTES = 1024 * 1024
_POLL_S = 0.25
_KEEP_ALIVE_S = 15.0
_STATUS = {"spec": 422, "model": 422, "data": 422, "hardware": 409, "storage": 409, "job": 409}


def add_routes(app: FastAPI) -> None:
    """Add the API to the window's application."""
    app.include_router(_router())


class _WordsRoute(APIRoute):
    """Answers problems in words."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        plain = super().get_route_handler()

        async def handler(request: Request) -> Response:
            try:
                return await plain(request)
            except _UnknownJobError as error:
                return _problem(error, 404)
            except AppError as error:
                return _problem(error, _STATUS.get(error_kind(error), 400))
            except RequestValidationError as error:
                first = error.errors()[0]
                field = str(first["loc"][-1])
                return _problem(SpecError(f"{field}: {first['msg']}.", "See docs/api.md.", field), 422)

        return handler


class _UnknownJobError(JobError):
    """The address names a job that does not exist."""


def _router() -> APIRouter:
    router = APIRouter(prefix=PREFIX, route_class=_WordsRoute)
    router.post("/jobs", status_code=201)(submit_job)
    router.get("/jobs")(list_jobs)
    router.get("/jobs/{job_id}")(show_job)
    router.get("/jobs/{job_id}/events")(stream_events)
    for name, action in _ACTIONS.items():
        router.post(f"/jobs/{{job_id}}/{name}", name=name)(_acting(action))
    router.get("/models/facts")(show_model)
    router.api_route("/{rest:path}", methods=["GET", "POST", "PUT", "PATCH", "DELETE"])(answer_unknown)
    return router


_ACTIONS = {"cancel": submit.cancel, "pause": submit.pause, "resume": submit.resume, "stop": submit.stop}


async def submit_job(request: Request) -> dict[str, Any]:
    """Hand in the job that the body describes; answer its id."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MAX_SPEC_BYTES:
            raise SpecError("The request body is larger than a spec can be (1 MiB).", "Send one JSON object.")
    spec = parse_spec_text(body, "The request body")
    job_id = await asyncio.to_thread(submit.submit, spec)
    return {"id": job_id}


def list_jobs(state: str = "", limit: int = 1000) -> dict[str, Any]:
    """List jobs, the newest first; `state` keeps those in one state."""
    jobs = [job for job in Index(paths.index_file()).jobs() if not state or job.state == state]
    return {"jobs": [_as_json(job) for job in jobs[: max(0, limit)]]}


def show_job(job_id: str) -> dict[str, Any]:
    """Show one job."""
    job = Index(paths.index_file()).job(job_id)
    if job is not None:
        return _as_json(job)
    spec = _folder(job_id).read_spec()  # just handed in: the supervisor has not seen it yet
    return {"id": job_id, "kind": spec.kind, "state": "queued", "spec": spec.model_dump(mode="json")}


async def stream_events(job_id: str, request: Request, offset: int = 0) -> StreamingResponse:
    """Stream a job's events as server-sent events, from byte `offset` or after `Last-Event-ID`.

    Each event's id is the byte offset behind it in `events.jsonl`. After the job's end comes an event
    named `end` with its outcome, and the stream closes.
    """
    folder = await asyncio.to_thread(_folder, job_id)
    last = request.headers.get("last-event-id", "")
    start = int(last) if last.isdigit() else max(0, offset)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(_events(folder, start), media_type="text/event-stream", headers=headers)


def show_model(path: str) -> dict[str, Any]:
    """Describe the model in a folder, from headers alone."""
    return model_facts(Path(path).expanduser()).model_dump(mode="json")


def answer_unknown(rest: str) -> JSONResponse:
    """Answer an address that the API does not have."""
    return _problem(SpecError(f"There is no {PREFIX}/{rest} for this method.", "See docs/api.md."), 404)


def _acting(action: Callable[[str], None]) -> Callable[[str], dict[str, Any]]:
    def act(job_id: str) -> dict[str, Any]:
        _folder(job_id)
        action(job_id)
        return {"id": job_id, "asked": True}

    return act


def _folder(job_id: str) -> JobFolder:
    try:
        return submit.folder_of(job_id)
    except JobError as error:
        raise _UnknownJobError(error.message, error.hint) from error


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


def _as_json(job: Job) -> dict[str, Any]:
    return {**dataclasses.asdict(job), "state": job.state.value, "sentence": job.state.sentence}


def _problem(error: AppError, status: int) -> JSONResponse:
    content = {"error": error_kind(error), "message": error.message, "hint": error.hint}
    if isinstance(error, SpecError) and error.field:
        content["field"] = error.field
    return JSONResponse(content, status_code=status)
