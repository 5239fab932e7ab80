"""The whole plan of a spec for those who have no window: looks at its model and data, then plans as the window does.

Starts no job. What the data do not tell leaves the time unknown, in words; memory and disk are planned all the same.
"""

from collections.abc import Sequence
from dataclasses import replace

from desktop_app import paths
from desktop_app.domain.bundle_spec import BundleSpec, OpenBundleSpec
from desktop_app.domain.convert_spec import ConvertSpec
from desktop_app.domain.data_choice import DataChoice, TokenChoice
from desktop_app.domain.data_report import DataReport
from desktop_app.domain.download_spec import DownloadSpec
from desktop_app.domain.finetune_spec import FinetuneSpec
from desktop_app.domain.job import Job, subject_of
from desktop_app.domain.machine import MachineSample
from desktop_app.domain.model_facts import ModelFacts
from desktop_app.domain.probe import Probe
from desktop_app.domain.spec import AnySpec
from desktop_app.errors import AppError, ModelError, ServiceError, SpecError
from desktop_app.memory_plan import is_unknown
from desktop_app.memory_plan.disk import disk_rooms
from desktop_app.memory_plan.duration import rows_to_train, step_count
from desktop_app.memory_plan.job_plan import Known, PlanReport, job_plan
from desktop_app.memory_plan.starting_point import starting_point
from desktop_app.memory_plan.work_size import adapter_base, facts_of_size
from desktop_app.settings import read_stored

from .client import Service

_LOOK_S = 120.0
_COUNT_S = 600.0
_TAKE_ALL = ("bring_in", "export", "evaluate")  # also what is no model to compute with; their workers say what fails


def plan_report(
    spec: AnySpec, inspect: Service, sample: MachineSample, jobs: Sequence[Job], probe: Probe | None = None
) -> PlanReport:
    """Plan a job whose paths are absolute; `inspect` reads, `jobs` are this computer's, newest first.

    Of a download the hub is asked how large it is, unless Whetstone is offline.

    Raises:
        AppError: the model or bundle cannot be read, or the hub does not answer.
    """
    if isinstance(spec, FinetuneSpec):
        return _training_report(spec, inspect, sample, jobs, probe)
    size, problem = _size(spec, inspect)
    facts = _moved(spec, size) or _facts(spec, inspect)
    plan = job_plan(spec, facts, Known(sample=sample, jobs=jobs, work_bytes=size))
    return PlanReport.of(plan, disk_rooms(spec, plan.memory.disk), time_problem=problem)


def _training_report(
    spec: FinetuneSpec, inspect: Service, sample: MachineSample, jobs: Sequence[Job], probe: Probe | None
) -> PlanReport:
    facts = _facts(spec, inspect)
    if is_unknown(spec, facts):
        _count_layers(facts.path)
        facts = _facts(spec, inspect)
    known = Known(sample=sample, jobs=jobs, probe=probe)
    report, problem, start = None, "", None
    try:
        report = _counted(spec, inspect)
    except AppError as error:
        problem = str(error)
    if report is not None:
        steps = step_count(spec, rows_to_train(spec, min(report.rows, spec.max_rows or report.rows), report.statistics))
        known = replace(known, statistics=report.statistics, steps=steps)
        start = starting_point(spec, facts, report, sample, report.statistics)
    plan = job_plan(spec, facts, known)
    return PlanReport.of(plan, disk_rooms(spec, plan.memory.disk), time_problem=problem, probe=probe, start_with=start)


def _size(spec: AnySpec, inspect: Service) -> tuple[int, str]:
    """How many bytes a job goes through, and why nobody knows."""
    if not isinstance(spec, DownloadSpec):
        size: int = inspect.call("work_bytes", _LOOK_S, spec=spec.model_dump(mode="json"))
        return size, ""
    if read_stored(paths.settings_dir()).offline:
        return 0, "Whetstone is offline, so the hub was not asked how large it is"
    hub = Service("hub")
    try:
        found = hub.call("repo_files", _LOOK_S, repo=spec.repo, revision=spec.revision)
    finally:
        hub.close()
    wanted = set(spec.files) or {file["name"] for file in found["files"] if file["suggested"]}
    return sum(file["size"] for file in found["files"] if file["name"] in wanted), ""


def _moved(spec: AnySpec, size: int) -> ModelFacts | None:
    """Facts of what is packed, unpacked or downloaded, which nobody reads for the plan."""
    is_moved = isinstance(spec, BundleSpec | OpenBundleSpec | DownloadSpec)
    return facts_of_size(subject_of(spec), size) if is_moved else None


def _facts(spec: AnySpec, inspect: Service) -> ModelFacts:
    """Facts of the model that a job computes with: of an adapter that is merged, its base."""
    assert not isinstance(spec, DownloadSpec | OpenBundleSpec)
    is_pickle = isinstance(spec, ConvertSpec)
    facts = ModelFacts(**inspect.call("listed_facts" if is_pickle else "model_facts", _LOOK_S, path=spec.model))
    if base := adapter_base(spec, facts):
        facts = ModelFacts(**inspect.call("model_facts", _LOOK_S, path=base))
    if is_pickle and not facts.pickle:
        raise ModelError(f"{spec.model} holds no weights in the old format.", "Only such are converted.")
    if facts.problem and not is_pickle and spec.kind not in _TAKE_ALL:
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
