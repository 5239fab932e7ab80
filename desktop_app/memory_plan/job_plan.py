"""The whole plan of a job, the same for window and terminal: memory, disk, time, the change with which it fits."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from desktop_app.domain.data_report import TokenStatistics
from desktop_app.domain.finetune_spec import FinetuneSpec
from desktop_app.domain.job import Job
from desktop_app.domain.machine import MachineSample
from desktop_app.domain.model_facts import ModelFacts
from desktop_app.domain.probe import Probe
from desktop_app.domain.quantize_spec import QuantizeSpec
from desktop_app.domain.spec import AnySpec

from . import MemoryPlan, is_on_gpu, is_unknown, memory_plan
from .awq import awq_duration
from .counted_before import row_tokens_before, steps_before
from .disk import DiskRoom
from .duration import Duration, duration, together
from .experience import correction
from .fitting import Fitting, fitted
from .gptq import gptq_duration
from .starting_point import StartingPoint
from .work_duration import work_duration


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What is known beside spec and model: computer, jobs (newest first), of a training its data and a probe.

    `work_bytes` is what any other job goes through, as `work_size` says.
    """

    sample: MachineSample
    jobs: Sequence[Job] = ()
    statistics: TokenStatistics | None = None
    steps: int | None = None
    probe: Probe | None = None
    work_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class JobPlan:
    """`time` is None where nobody can say; `fitting` where it fits already or nothing makes it fit."""

    memory: MemoryPlan
    time: Duration | None = None
    fitting: Fitting | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanReport(MemoryPlan):
    """A whole plan in plain values: memory and disk, `volumes` that are written to, time, settings that make it fit.

    `time` is None where `time_problem` or nobody says why it is not known; `probe` what was measured for this plan;
    `start_with` with which settings to start a training on this data, None where nothing can be advised.
    """

    volumes: tuple[DiskRoom, ...] = ()
    time: Duration | None = None
    time_problem: str = ""
    fits_with: dict[str, Any] | None = None
    probe: Probe | None = None
    start_with: StartingPoint | None = None

    @classmethod
    def of(cls, plan: JobPlan, rooms: tuple[DiskRoom, ...], **more: Any) -> "PlanReport":
        """Put together what was planned; `more` are the other fields."""
        memory = {each.name: getattr(plan.memory, each.name) for each in fields(plan.memory)}
        fits_with = None if plan.fitting is None else plan.fitting.changes
        return cls(**memory, volumes=rooms, time=plan.time, fits_with=fits_with, **more)


def job_plan(spec: AnySpec, facts: ModelFacts, known: Known) -> JobPlan:
    """Plan a job for `facts`, the model that `spec` names."""
    if not isinstance(spec, FinetuneSpec):
        return JobPlan(memory=memory_plan(spec, facts, known.sample), time=job_time(spec, facts, known))
    factor = correction(spec, known.jobs)
    spec = as_long_as_its_rows(spec, known.statistics.longest if known.statistics else None)
    memory = memory_plan(spec, facts, known.sample, factor)
    if is_unknown(spec, facts):
        return JobPlan(memory=memory)
    return JobPlan(
        memory=memory,
        time=job_time(spec, facts, known),
        fitting=None if memory.verdict == "fits" else fitted(spec, facts, known.sample, factor),
    )


def job_time(spec: AnySpec, facts: ModelFacts, known: Known) -> Duration | None:
    """Expect the time of a job for `facts`, the model that `spec` names; None where nobody can say."""
    if isinstance(spec, FinetuneSpec):
        spec = as_long_as_its_rows(spec, known.statistics.longest if known.statistics else None)
        return duration(spec, facts, known.sample, _tokens(spec, known), known.jobs, known.probe)
    is_gpu = is_on_gpu(spec, known.sample)
    time = work_duration(spec, known.work_bytes, known.jobs, is_gpu)
    if isinstance(spec, QuantizeSpec) and (time is None or time.source != "history"):
        # Widths and the text decide, bytes alone do not.
        slow = [each for method, each in (("gptq", gptq_duration), ("awq", awq_duration)) if method in spec.methods]
        if slow:
            return together([each(spec, facts, known.sample, is_gpu, known.work_bytes) for each in slow])
    return time


def as_long_as_its_rows(spec: FinetuneSpec, longest: int | None) -> FinetuneSpec:
    """Return the spec with examples no longer than the longest there is, in tokens; None if nobody counted.

    `longest` is a prompt with one answer, of a pair with the longer one.
    """
    if not longest or spec.packing or longest >= spec.max_length:
        return spec
    return spec.model_copy(update={"max_length": max(8, longest)})


def _tokens(spec: FinetuneSpec, known: Known) -> float:
    """Tokens that all steps read, 0 where rows or their lengths are not counted and no earlier training tells."""
    steps = known.steps or steps_before(spec, known.jobs)
    row = _row_tokens(spec, known)
    return steps * spec.effective_batch * row if steps and row else 0


def _row_tokens(spec: FinetuneSpec, known: Known) -> float | None:
    """Tokens that the model reads of a row, without padding."""
    counted = known.statistics
    if counted is not None and counted.trained_rows:
        if spec.packing:
            return spec.max_length * (1 - counted.packed_share)
        return spec.answers_per_row * min(spec.max_length, counted.tokens / counted.trained_rows)
    if known.probe is not None:
        return spec.max_length if spec.packing else known.probe.row_tokens
    return row_tokens_before(spec, known.jobs)
