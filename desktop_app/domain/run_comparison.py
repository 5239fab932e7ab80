"""Several jobs side by side: which settings differ, which figure is best, what was estimated and what was measured.

Knows rows of the history, not where they come from nor how they are drawn. A setting that a job's version did not
know yet counts as at its default; a figure is called best only where one direction is better for everybody.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .job import Job
from .spec import as_json, usual_value

_LOWER_IS_BETTER = (
    "final_loss",
    "eval_loss_after",
    "merged_eval_loss",
    "merged_logit_difference",
    "perplexity",
    "mean_kl",
    "mean_relative_error",
    "worst_relative_error",
    "worse_rows",
    "adapter_bytes",
    "size_after_bytes",
    "size_bytes",
    "ratio",
    "peak_bytes",
    "measured_seconds",
)
_HIGHER_IS_BETTER = ("eval_accuracy_after", "top1_agreement", "accuracy", "tokens_per_s")
_DATA_FIELDS = ("model", "data", "more_data", "evaluation_data", "held_out", "held_out_of", "overlay", "objective")
_ON_DATA = ("final_loss", "eval_loss_after", "perplexity", "eval_accuracy_after")
# These stand among the estimates.
_ESTIMATED = (
    "planned_bytes", "peak_bytes", "seconds", "planned_seconds", "planned_tokens_per_s", "planned_by", "planned_steps",
    "first_step", "work_bytes",
)  # fmt: skip
_NO_SETTING = ("name", "output")


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One name with a value for each job, None where a job has none; `best` are the places of the best ones."""

    name: str
    values: tuple[Any, ...]
    best: frozenset[int] = frozenset()

    @property
    def differs(self) -> bool:
        """Whether not all values are the same."""
        return any(value != self.values[0] for value in self.values)


def settings_of(jobs: Sequence[Job]) -> list[Line]:
    """Return every setting that one of the jobs has, in the order of their specs."""
    names = dict.fromkeys(name for job in jobs for name in job.spec if name not in _NO_SETTING)
    return [Line(name=name, values=tuple(_setting(job, name) for job in jobs)) for name in names]


def figures_of(jobs: Sequence[Job]) -> list[Line]:
    """Return what was measured, first the figures of which one can be best; what is the same is no figure to compare.

    Numbers alone: words that differ, such as the device, come last and nothing of them is best.
    """
    names = dict.fromkeys(name for job in jobs for name in job.summary if name not in _ESTIMATED)
    ranked = [name for name in (*_LOWER_IS_BETTER, *_HIGHER_IS_BETTER) if name in names]
    lines = []
    for name in (*ranked, *(name for name in names if name not in ranked)):
        values = tuple(job.summary.get(name) for job in jobs)
        lines.append(Line(name=name, values=values, best=best_of(name, values)))
    return [line for line in lines if line.name in ranked or line.differs]


def best_of(name: str, values: Sequence[Any]) -> frozenset[int]:
    """Say at which places the best values stand: none with fewer than two numbers, or if all are the same."""
    known = {place: float(value) for place, value in enumerate(values) if _is_number(value)}
    if len(set(known.values())) < 2 or name not in (*_LOWER_IS_BETTER, *_HIGHER_IS_BETTER):
        return frozenset()
    best = (min if name in _LOWER_IS_BETTER else max)(known.values())
    return frozenset(place for place, value in known.items() if value == best)


def estimates_of(jobs: Sequence[Job]) -> list[Line]:
    """Return memory in bytes and time in seconds, each as it was estimated for what a job did and as it was measured.

    `stopped_at` says of a training how far it came, where that is not the end. Only what at least one job has is
    returned.
    """
    found: dict[str, tuple[Any, ...]] = {
        "stopped_at": tuple(stopped_at(job) for job in jobs),
        "planned_bytes": tuple(job.summary.get("planned_bytes") for job in jobs),
        "peak_bytes": tuple(job.summary.get("peak_bytes") for job in jobs),
        "planned_seconds": tuple(job.summary.get("planned_seconds") for job in jobs),
        "measured_seconds": tuple(_measured_s(job) for job in jobs),
    }
    known = {name: values for name, values in found.items() if any(value is not None for value in values)}
    return [Line(name=name, values=values, best=best_of(name, values)) for name, values in known.items()]


def stopped_at(job: Job) -> str | None:
    """Say at which step a training ended before its last one; None if it made them all, or has not ended."""
    steps, planned = job.summary.get("steps"), job.summary.get("planned_steps")
    if not job.summary and job.unit == "step" and job.state.is_terminal:
        steps, planned = job.done, job.total
    if steps is None or planned is None or steps >= planned:
        return None
    return f"step {steps:,.0f} of {planned:,.0f}"


def differing_ground(jobs: Sequence[Job]) -> list[str]:
    """Name the settings because of which losses of these jobs cannot be compared with each other; [] if they can."""
    if not any(name in job.summary for job in jobs for name in _ON_DATA):
        return []
    return [line.name for line in settings_of(jobs) if line.name in _DATA_FIELDS and line.differs]


def _measured_s(job: Job) -> float | None:
    """The time of what was estimated: of a job that kept an estimate its own work, else from start to end."""
    return job.summary.get("seconds") if job.summary.get("planned_seconds") else job.duration_s


def _setting(job: Job, name: str) -> Any:
    return as_json(job.spec[name]) if name in job.spec else usual_value(job.kind, name)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
