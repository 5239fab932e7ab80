"""What a job that brings in, downloads or converts a model needs to know before it waits for its turn.

The last gate of the offline switch stands here too: no worker gets the network while it is on.
"""

from pathlib import Path

from desktop_app import paths
from desktop_app.domain.bring_in_spec import BringInSpec
from desktop_app.domain.convert_spec import ConvertSpec
from desktop_app.domain.download_spec import DownloadSpec
from desktop_app.domain.job import job_name
from desktop_app.domain.spec import JobSpec
from desktop_app.errors import SpecError
from desktop_app.library.model_folder import listed_facts
from desktop_app.settings import read_stored


def with_own_folder(spec: JobSpec) -> JobSpec:
    """Say where a model goes that is brought in without a place of its own: a new folder among our models."""
    if not isinstance(spec, BringInSpec | DownloadSpec) or spec.output is not None:
        return spec
    name = Path(spec.model).stem if isinstance(spec, BringInSpec) and Path(spec.model).is_file() else job_name(spec)
    return spec.model_copy(update={"output": str(paths.models_dir() / paths.portable_name(spec.name or name))})


def check_model_job(spec: BringInSpec | ConvertSpec | DownloadSpec) -> None:
    """Refuse what cannot be done, by a look at headers.

    Raises:
        SpecError: what is named is not there or of the wrong kind, or a download is asked for while offline.
        ModelError: the model that shall be brought in is damaged or unsafe.
    """
    if isinstance(spec, DownloadSpec):
        refuse_offline(spec)
        return
    model = Path(spec.model)
    if not model.exists():
        raise SpecError(f"model: {model} does not exist.", "Is the disk or stick still there?", "model")
    if isinstance(spec, ConvertSpec) and not listed_facts(model).pickle:
        raise SpecError(
            f"model: {model} holds no weights in the old format.",
            "Name a folder with pytorch_model.bin and config.json, or adapter_model.bin and adapter_config.json.",
            "model",
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
