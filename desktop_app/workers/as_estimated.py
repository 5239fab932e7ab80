"""Set the estimate that was kept with a job beside what it took: for what was really done, not for all it was to do.

Summary: planned_seconds, planned_by, planned_tokens_per_s of a training, work_bytes of any other job. A job that went
on where an earlier attempt ended did only a part of its work, nobody knows which, so nothing is compared; the steps
of a training tell.
"""

from desktop_app.domain.estimate import Estimate

from .finished import Summary


def as_estimated(estimate: Estimate | None, summary: Summary, goes_on: bool) -> Summary:
    """Return what was estimated for what `summary` says was done; empty if nobody estimated anything."""
    if estimate is None:
        return {}
    if estimate.tokens_per_s is None:
        if goes_on or estimate.seconds is None:
            return {}
        said: Summary = {"planned_seconds": round(estimate.seconds, 2), "planned_by": estimate.source}
        return said | ({"work_bytes": estimate.work_bytes} if estimate.work_bytes else {})
    said = {"planned_tokens_per_s": round(estimate.tokens_per_s, 2), "planned_by": estimate.source}
    seconds = _training_s(estimate, summary)
    return said if seconds is None else {"planned_seconds": round(seconds, 2), **said}


def _training_s(estimate: Estimate, summary: Summary) -> float | None:
    """Seconds of the steps that were made here; by the tokens that they read where none had been counted before."""
    steps, planned, first = (_number(summary, name) for name in ("steps", "planned_steps", "first_step"))
    if estimate.seconds is not None and planned:
        return estimate.seconds * (steps - first) / planned
    rate, seconds = _number(summary, "tokens_per_s"), _number(summary, "seconds")
    return seconds * rate / estimate.tokens_per_s if rate and seconds and estimate.tokens_per_s else None


def _number(summary: Summary, name: str) -> float:
    value = summary.get(name)
    return value if isinstance(value, int | float) else 0.0
