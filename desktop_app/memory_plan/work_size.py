"""How many bytes a job goes through: models it rewrites or measures, files it packs. Reads headers and sizes only."""

from collections.abc import Iterable
from pathlib import Path

from desktop_app import paths
from desktop_app.domain.bundle_spec import BundleSpec, OpenBundleSpec
from desktop_app.domain.download_spec import DownloadSpec
from desktop_app.domain.evaluate_spec import EvaluateSpec
from desktop_app.domain.export_spec import ExportSpec
from desktop_app.domain.finetune_spec import FinetuneSpec
from desktop_app.domain.model_facts import ModelFacts
from desktop_app.domain.quantize_spec import QuantizeSpec
from desktop_app.domain.spec import AnySpec
from desktop_app.errors import AppError, SpecError
from desktop_app.hardware.disk import folder_bytes
from desktop_app.job_folder import JobFolder
from desktop_app.library.bundle import BundleReader
from desktop_app.library.model_files import list_model_files
from desktop_app.library.model_folder import listed_facts

_DATA_FIELDS = ("data", "more_data", "evaluation_data", "calibration_data", "overlay")


def work_bytes(spec: AnySpec, facts: ModelFacts | None = None) -> int:
    """Say how many bytes a job goes through; 0 where that says nothing of it, or only a hub knows.

    `facts` are those of its model, where they are known already. Each model that is measured counts as the original.

    Raises:
        AppError: the bundle, or what is to be packed, cannot be read.
    """
    match spec:
        case FinetuneSpec() | DownloadSpec():
            return 0
        case OpenBundleSpec():
            with BundleReader(Path(spec.bundle)) as reader:
                return reader.bundle.size_bytes
        case BundleSpec():
            return _bundle_bytes(spec)
    facts = facts or listed_facts(Path(spec.model))
    base = adapter_base(spec, facts)
    size = listed_facts(Path(base)).size_bytes if base else facts.size_bytes
    return size * (1 + len(spec.variants)) if isinstance(spec, EvaluateSpec) else size


def adapter_base(spec: AnySpec, facts: ModelFacts) -> str:
    """Return the base of an adapter that a job computes with, mostly merged; '' if it does not, or it is only named."""
    is_used = isinstance(spec, QuantizeSpec | EvaluateSpec)
    is_used |= isinstance(spec, ExportSpec) and spec.form in ("whole", "gguf")
    return facts.base_model if facts.kind == "adapter" and is_used and Path(facts.base_model).is_absolute() else ""


def facts_of_size(subject: str, size_bytes: int) -> ModelFacts:
    """Return facts of what is moved unread, to plan with: a name and a size."""
    return ModelFacts(path=subject, name=subject, size_bytes=size_bytes)


def _bundle_bytes(spec: BundleSpec) -> int:
    """The model, and what stands in the job's folder and its settings; the tokenizer alone is a trifle."""
    size = list_model_files(Path(spec.model)).total_bytes if "model" in spec.parts else 0
    if not spec.job:
        return size
    run = JobFolder(paths.jobs_dir() / spec.job)
    if Path(spec.job).name != spec.job or not run.spec_file.is_file():
        raise SpecError(f"job: there is no job {spec.job!r}.", "The command 'jobs' lists all of them.", "job")
    if "checkpoint" in spec.parts:
        size += folder_bytes(run.checkpoints_dir)
    if "result" in spec.parts and (result := run.read_result()) is not None:
        size += folder_bytes(result)
    if "report" in spec.parts:
        size += _size([run.events_file, run.machine_file, run.console_file])
    if "data" in spec.parts:
        try:
            settings = run.read_spec()
        except AppError:
            return size  # the job that packs it says so
        named = [getattr(settings, name, None) or () for name in _DATA_FIELDS]
        size += _size(Path(path) for each in named for path in ([each] if isinstance(each, str) else each))
    return size


def _size(files: Iterable[Path]) -> int:
    return sum(folder_bytes(path) if path.is_dir() else path.stat().st_size for path in files if path.exists())
