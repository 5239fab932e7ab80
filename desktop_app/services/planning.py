"""The whole plan of a spec for those who have no window: looks at its model and data, then plans as the window does.

Starts no job. What the data do not tell leaves the time unknown, in words; memory and disk are planned all the same.
"""

from collections.abc import Sequence
from pathlib import Path

from desktop_app import paths
from desktop_app.domain.convert_spec import ConvertSpec
from desktop_app.domain.data_choice import DataChoice, TokenChoice
from desktop_app.domain.data_report import DataReport
from desktop_app.domain.finetune_spec import FinetuneSpec
from desktop_app.domain.job import Job
from desktop_app.domain.machine import MachineSample
from desktop_app.domain.model_facts import ModelFacts
from desktop_app.domain.probe import Probe
from desktop_app.domain.spec import AnySpec
from desktop_app.errors import AppError, ModelError, ServiceError, SpecError
from desktop_app.memory_plan import is_unknown
from desktop_app.memory_plan.disk import disk_rooms
from desktop_app.memory_plan.duration import step_count
from desktop_app.memory_plan.job_plan import Known, PlanReport, job_plan
from desktop_app.memory_plan.starting_point import starting_point

from .client import Service

_LOOK_S = 120.0
_COUNT_S = 600.0


def plan_report(
    spec: AnySpec, inspect: Service, sample: MachineSample, jobs: Sequence[Job], probe: Probe | None = None
) -> PlanReport:
    """Plan a job whose paths are absolute; `inspect` reads, `jobs` are this computer's, newest first.

    Raises:
        AppError: the spec names no model, or its model cannot be read.
    """
    facts = _facts(spec, inspect)
    if is_unknown(spec, facts):
        _count_layers(facts.path)
        facts = _facts(spec, inspect)
    report, problem = None, ""
    if isinstance(spec, FinetuneSpec):
        try:
            report = _counted(spec, inspect)
        except AppError as error:
            problem = str(error)
    known = Known(sample=sample, jobs=jobs, probe=probe)
    if report is not None and isinstance(spec, FinetuneSpec):
        known = Known(
            sample=sample,
            jobs=jobs,
            probe=probe,
            statistics=report.statistics,
            steps=step_count(spec, min(report.rows, spec.max_rows or report.rows)),
        )
    plan = job_plan(spec, facts, known)
    output = getattr(spec, "output", None)
    rooms = disk_rooms(plan.memory.disk, paths.jobs_dir(), Path(output) if output else None)
    start = None
    if report is not None and isinstance(spec, FinetuneSpec):
        start = starting_point(spec, facts, report, sample, report.statistics)
    return PlanReport.of(plan, rooms, time_problem=problem, probe=probe, start_with=start)


def _facts(spec: AnySpec, inspect: Service) -> ModelFacts:
    model = getattr(spec, "model", None)
    if model is None:
        raise SpecError(
            f"kind: a job of the kind {spec.kind!r} names no model here, so there is nothing to plan with.",
            "Plan a spec of the kind finetune, quantize, evaluate, convert, export or bring_in.",
            "kind",
        )
    is_pickle = isinstance(spec, ConvertSpec)
    facts = ModelFacts(**inspect.call("listed_facts" if is_pickle else "model_facts", _LOOK_S, path=model))
    if facts.problem and not is_pickle:
        raise ModelError(facts.problem, facts.hint)
    return facts


def _count_layers(model: str) -> None:
    """Let a worker count them; what it found, or why it found nothing, stands in the facts that are read next."""
    walker = Service("probe")
    try:
        walker.call("walk", _LOOK_S, path=model)
    except ServiceError:
        pass  # it stays unknown, which the plan says
    finally:
        walker.close()


def _counted(spec: FinetuneSpec, inspect: Service) -> DataReport:
    data, tokens = DataChoice.of(spec).model_dump(mode="json"), TokenChoice.of(spec).model_dump(mode="json")
    report = DataReport(**inspect.call("data_report", _COUNT_S, data=data, tokens=tokens))
    if report.problem:
        raise SpecError(f"data: {report.problem}", report.hint, "data")
    return report
