"""What a job that brings in, downloads, converts or exports a model needs to know before it waits for its turn.

The last gate of the offline switch stands here too: no worker gets the network while it is on.
"""

from dataclasses import dataclass
from pathlib import Path

from desktop_app import paths
from desktop_app.domain.bring_in_spec import BringInSpec
from desktop_app.domain.bundle_spec import BundleSpec, OpenBundleSpec
from desktop_app.domain.convert_spec import ConvertSpec
from desktop_app.domain.download_spec import DownloadSpec
from desktop_app.domain.export_spec import TOO_LARGE, ExportSpec, export_bytes, possible_forms
from desktop_app.domain.job import job_name
from desktop_app.domain.model_facts import ModelFacts
from desktop_app.domain.spec import JobSpec
from desktop_app.errors import ModelError, SpecError
from desktop_app.hardware.disk import check_space, free_bytes, largest_file_bytes, refuse_too_large
from desktop_app.job_folder import JobFolder
from desktop_app.library.bundle import BundleReader
from desktop_app.library.model_folder import check_model_folder, listed_facts, model_facts
from desktop_app.settings import read_stored

ModelJobSpec = BringInSpec | ConvertSpec | DownloadSpec | ExportSpec | BundleSpec | OpenBundleSpec


def with_own_folder(spec: JobSpec) -> JobSpec:
    """Say where a model goes that is brought in without a place of its own: a new folder among our models."""
    if not isinstance(spec, BringInSpec | DownloadSpec | OpenBundleSpec) or spec.output is not None:
        return spec
    name = Path(spec.model).stem if isinstance(spec, BringInSpec) and Path(spec.model).is_file() else job_name(spec)
    wanted = paths.models_dir() / paths.portable_name(spec.name or name)
    if isinstance(spec, OpenBundleSpec):
        wanted = paths.free_name(wanted)  # the same model may come along with several jobs
    return spec.model_copy(update={"output": str(wanted)})


def check_model_job(spec: ModelJobSpec) -> None:
    """Refuse what cannot be done, by a look at headers.

    Raises:
        SpecError: what is named is not there or of the wrong kind, or a download is asked for while offline.
        ModelError: the model that shall be brought in or exported is damaged or unsafe.
        StorageError: the disk of an export's folder cannot hold it.
    """
    if isinstance(spec, DownloadSpec):
        refuse_offline(spec)
        return
    if isinstance(spec, OpenBundleSpec):
        BundleReader(Path(spec.bundle)).close()
        return
    model = Path(spec.model)
    if not model.exists():
        raise SpecError(f"model: {model} does not exist.", "Is the disk or stick still there?", "model")
    if isinstance(spec, ExportSpec):
        _check_export(spec)
    if isinstance(spec, BundleSpec):
        _check_bundle(spec)
    if isinstance(spec, ConvertSpec) and not listed_facts(model).pickle:
        raise SpecError(
            f"model: {model} holds no weights in the old format.",
            "Name a folder with pytorch_model.bin and config.json, or adapter_model.bin and adapter_config.json.",
            "model",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportRoom:
    """What an export will write by estimate and what its disk has, in bytes.

    `is_fat`: the disk is formatted so that it holds no file above 4 GB.
    """

    size_bytes: int
    largest_bytes: int
    free_bytes: int
    is_fat: bool


def export_room(spec: ExportSpec, facts: ModelFacts, output: Path) -> ExportRoom:
    """Say what an export of a model of these facts needs at `output`.

    Raises:
        StorageError: the disk cannot be asked.
    """
    base = listed_facts(Path(facts.base_model)) if facts.kind == "adapter" else facts
    size, largest = export_bytes(spec, facts, base)
    return ExportRoom(
        size_bytes=size,
        largest_bytes=largest,
        free_bytes=free_bytes(output),
        is_fat=largest_file_bytes(output) is not None,
    )


def _check_export(spec: ExportSpec) -> None:
    facts = model_facts(Path(spec.model))
    if facts.problem and facts.kind != "gguf":
        raise ModelError(facts.problem, facts.hint)
    forms = possible_forms(facts)
    if spec.form not in forms:
        raise SpecError(
            f"form: {facts.name} cannot be exported as {spec.form!r}.", f"Choose {' or '.join(forms)}.", "form"
        )
    if spec.output is None:
        return
    room = export_room(spec, facts, Path(spec.output))
    check_space(room.size_bytes, Path(spec.output))
    refuse_too_large(Path(spec.output), "The largest file", room.largest_bytes, TOO_LARGE)


def _check_bundle(spec: BundleSpec) -> None:
    check_model_folder(Path(spec.model))
    if not spec.job:
        return
    folder = JobFolder(paths.jobs_dir() / spec.job)
    if Path(spec.job).name != spec.job or not folder.spec_file.is_file():
        raise SpecError(f"job: there is no job {spec.job!r}.", "The command 'jobs' lists all of them.", "job")
    if not folder.has_outcome:
        raise SpecError(
            f"job: {spec.job} has not ended.", "Cancel it first; its checkpoints stay, to go on from them there.", "job"
        )


def refuse_offline(spec: JobSpec) -> None:
    """Refuse a download while the window's switch says offline.

    Raises:
        SpecError: it does.
    """
    if may_use_network(spec) and read_stored(paths.settings_dir()).offline:
        raise SpecError(
            f"{job_name(spec)} is not downloaded: Whetstone is offline.", "Switch Offline off in Settings first."
        )


def may_use_network(spec: JobSpec) -> bool:
    """Whether this is the one kind of job that may."""
    return isinstance(spec, DownloadSpec)
