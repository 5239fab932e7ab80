"""The whole plan of a job, the same for window and terminal: memory, disk, time, the change with which it fits."""

from collections.abc import Sequence
from dataclasses import dataclass

from desktop_app.domain.data_report import TokenStatistics
from desktop_app.domain.finetune_spec import FinetuneSpec
from desktop_app.domain.job import Job
from desktop_app.domain.machine import MachineSample
from desktop_app.domain.model_facts import ModelFacts
from desktop_app.domain.spec import AnySpec

from . import MemoryPlan, memory_plan
from .duration import Duration, duration
from .experience import correction
from .fitting import Fitting, fitted


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What is known beside spec and model: the computer, its jobs (newest first), and of a training its data."""

    sample: MachineSample
    jobs: Sequence[Job] = ()
    statistics: TokenStatistics | None = None
    steps: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobPlan:
    """`time` is None where nobody can say; `fitting` where it fits already or nothing makes it fit."""

    memory: MemoryPlan
    time: Duration | None = None
    fitting: Fitting | None = None


def job_plan(spec: AnySpec, facts: ModelFacts, known: Known) -> JobPlan:
    """Plan a job for `facts`, the model that `spec` names."""
    if not isinstance(spec, FinetuneSpec):
        return JobPlan(memory=memory_plan(spec, facts, known.sample))
    factor = correction(spec, known.jobs)
    spec = as_long_as_its_rows(spec, known.statistics.longest if known.statistics else None)
    memory = memory_plan(spec, facts, known.sample, factor)
    return JobPlan(
        memory=memory,
        time=duration(spec, facts, known.sample, _tokens(spec, known), known.jobs),
        fitting=None if memory.verdict == "fits" else fitted(spec, facts, known.sample, factor),
    )


def as_long_as_its_rows(spec: FinetuneSpec, longest: int | None) -> FinetuneSpec:
    """Return the spec with examples no longer than the longest there is, in tokens; None if nobody counted."""
    if not longest or spec.packing or spec.objective != "sft" or longest >= spec.max_length:
        return spec
    return spec.model_copy(update={"max_length": max(8, longest)})


def _tokens(spec: FinetuneSpec, known: Known) -> float:
    """Tokens that all steps read, 0 where rows or their lengths are not counted."""
    counted = known.statistics
    if not known.steps or counted is None or not counted.rows:
        return 0
    row = min(spec.max_length, (counted.tokens - counted.cut_tokens) / counted.rows)
    return known.steps * spec.effective_batch * (spec.max_length if spec.packing else row)
