"""How long jobs will take and when a new one will start, by the jobs that were like them. Draws nothing."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from desktop_app.domain.job import KINDS_THAT_GO_ON, Job, JobState

# Trainings with the same values here take about the same time for a step.
_STEP_FIELDS = (
    "model",
    "objective",
    "method",
    "batch_size",
    "gradient_accumulation",
    "max_length",
    "activation_checkpointing",
    "device",
    "processes",
)


def expected_s(spec: Mapping[str, Any], jobs: Iterable[Job], steps: float | None = None) -> float | None:
    """Expect the time of a job by an earlier one like it; None if there was none.

    `steps` is how many it makes, if that is known; otherwise it is taken from data and epochs.
    """
    for job in jobs:
        if job.kind != spec["kind"] or job.state is not JobState.SUCCEEDED or not job.duration_s:
            continue
        if job.kind != "finetune":
            if (job.spec.get("model"), job.spec.get("method")) == (spec.get("model"), spec.get("method")):
                return job.duration_s
            continue
        if job.done and all(job.spec.get(name) == spec.get(name) for name in _STEP_FIELDS):
            found = steps or _steps(spec, job)
            if found:
                return job.duration_s / job.done * found
    return None


def waiting_s(active: Job | None, queued: Sequence[Job], jobs: Sequence[Job]) -> tuple[float, int]:
    """Return the seconds until a job that is handed in now starts, and how many jobs before it nobody can time."""
    total, unknown = 0.0, 0
    if active is not None and active.kind not in KINDS_THAT_GO_ON:
        total, unknown = (active.eta_s, 0) if active.eta_s else (0.0, 1)
    for job in queued:
        if job.kind in KINDS_THAT_GO_ON:
            continue
        seconds = expected_s(job.spec, jobs)
        total, unknown = total + (seconds or 0.0), unknown + (seconds is None)
    return total, unknown


def _steps(spec: Mapping[str, Any], like: Job) -> float | None:
    """Steps of a training on the same data as an earlier one."""
    if spec.get("max_steps"):
        return float(spec["max_steps"])
    same = ("data", "max_rows", "held_out", "nodes")
    if like.spec.get("max_steps") or any(like.spec.get(name) != spec.get(name) for name in same):
        return None
    return like.done * float(spec["epochs"]) / float(like.spec["epochs"])
