"""A job as the index tells it, for tests that only look."""

from dataclasses import replace

from desktop_app.domain.job import Job, JobState


def job(number: int, state: JobState = JobState.RUNNING, **more: object) -> Job:
    """Return a row as the supervisor writes it."""
    spec = {"kind": "finetune", "model": "/models/tiny", "data": "/data/notes.jsonl"}
    plain = Job(
        id=f"20260101-12000{number}-notes-{number}",
        kind="finetune",
        name=f"notes-{number}",
        state=state,
        method="lora",
        model="/models/tiny",
        data="/data/notes.jsonl",
        spec=spec,
        created=1_760_000_000.0 + number,
        summary={},
    )
    return replace(plain, **more)
