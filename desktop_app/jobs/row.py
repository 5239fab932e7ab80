"""A job's row in the history, made from what stands in its folder. Reads, never writes."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from desktop_app.domain.event import (
    AnyEvent,
    Failed,
    Metric,
    Paused,
    Progress,
    Resumed,
    Stage,
    Started,
    Succeeded,
)
from desktop_app.domain.job import Job, JobState, job_name, subject_of
from desktop_app.errors import AppError
from desktop_app.job_folder import JobFolder, Outcome


def queued_row(folder: JobFolder) -> Job:
    """Describe a job by its spec alone, as it waits for its turn; a spec that cannot be read gives a bare row."""
    created = _written(folder.spec_file)
    words = {"note": folder.read_note(), **dict(folder.read_marks())}
    try:
        spec = folder.read_spec()
    except AppError:
        raw = _raw_spec(folder.spec_file)
        return Job(
            id=folder.id,
            kind=str(raw.get("kind", "")),
            name=str(raw.get("name", "")) or folder.id,
            state=JobState.QUEUED,
            method=str(raw.get("method", "")),
            model=str(raw.get("model", "")),
            data=str(raw.get("data", "")),
            spec=raw,
            created=created,
            summary={},
            **words,
        )
    return Job(
        id=folder.id,
        kind=spec.kind,
        name=job_name(spec),
        state=JobState.QUEUED,
        method=getattr(spec, "method", ""),
        model=subject_of(spec),
        data=getattr(spec, "data", "") or "",
        spec=spec.model_dump(mode="json"),
        created=created,
        eta_s=None if (estimate := folder.read_estimate()) is None else estimate.seconds,
        summary={},
        **words,
    )


def row_from_folder(folder: JobFolder) -> Job:
    """Make a row again from everything the folder holds: spec, events, outcome, note."""
    row, _ = row_after_events(queued_row(folder), folder)
    outcome = folder.read_outcome()
    if outcome is not None:
        return after_outcome(row, outcome)
    if folder.has_outcome:
        return after_outcome(
            row,
            Outcome(
                state=JobState.INTERRUPTED,
                ended=_written(folder.path / "outcome.json"),
                error="storage",
                message=f"{folder.path / 'outcome.json'} is damaged: how the job ended is not known.",
                hint="Look at its log; run it again with the same settings.",
            ),
        )
    return row


def row_after_events(row: Job, folder: JobFolder, offset: int = 0) -> tuple[Job, int]:
    """Apply all events from byte `offset` on; return the row and where to go on reading."""
    while True:
        page = folder.read_events(offset)
        for event in page.events:
            row = after_event(row, event)
        if page.offset == offset:
            return row, offset
        offset = page.offset


def after_event(row: Job, event: AnyEvent) -> Job:
    """Apply one event. Whether the job ended is not for an event to say: that takes an outcome."""
    match event:
        case Started():
            return begun(row, event.time)
        case Stage():
            return replace(row, stage=event.text)
        case Progress():
            return replace(
                row,
                done=event.done,
                total=event.total,
                unit=event.unit,
                rate=event.rate,
                rate_unit=event.rate_unit,
                eta_s=event.eta_s,
            )
        case Metric():
            return replace(row, loss=event.values.get("loss", row.loss))
        case Paused():
            return replace(row, state=JobState.PAUSED)
        case Resumed():
            return replace(row, state=JobState.RUNNING)
        case Succeeded():
            return replace(row, result=event.result, summary=dict(event.summary), stage="", eta_s=None)
        case Failed():
            return replace(row, error=event.error, message=event.message, hint=event.hint, stage="", eta_s=None)
        case _:
            return row


def begun(row: Job, started: float) -> Job:
    """Describe a job whose worker just began, for the first time or anew; `started` is Unix seconds.

    What was expected of it counts until the worker says how far it is.
    """
    return replace(
        row,
        state=JobState.RUNNING,
        started=started,
        ended=None,
        stage="",
        rate=None,
        eta_s=None if row.total else row.eta_s,
        result="",
        error="",
        message="",
        hint="",
        summary={},
    )


def after_outcome(row: Job, outcome: Outcome) -> Job:
    """Describe a job that ended. A clock that was set back gives a job of no length, never a negative one."""
    has_succeeded = outcome.state is JobState.SUCCEEDED
    return replace(
        row,
        state=outcome.state,
        ended=max(outcome.ended, row.started or 0.0),
        stage="",
        rate=None,
        eta_s=None,
        result=row.result if has_succeeded else "",
        summary=row.summary if has_succeeded else {},
        error=outcome.error,
        message=outcome.message,
        hint=outcome.hint,
    )


def _raw_spec(file: Path) -> dict[str, Any]:
    try:
        raw = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return raw if isinstance(raw, dict) else {}


def _written(file: Path) -> float:
    try:
        return file.stat().st_mtime
    except OSError:
        return 0.0
