"""The files and folders that a spec names: made absolute, and refused before a job is written where they cannot do."""

from pathlib import Path

from desktop_app import paths
from desktop_app.domain.spec import JobSpec
from desktop_app.errors import SpecError
from desktop_app.library.model_folder import check_model_folder, model_facts
from desktop_app.result_folder import MANIFEST
from desktop_app.training_data.overlay import read_overlay
from desktop_app.training_data.reader import open_data_file
from desktop_app.training_data.sources import data_files

from .model_specs import ModelJobSpec, check_model_job

_PATH_FIELDS = (
    "model",
    "variants",
    "bundle",
    "data",
    "more_data",
    "evaluation_data",
    "held_out_of",
    "overlay",
    "checkpoint",
    "output",
)


def with_absolute_paths(spec: JobSpec) -> JobSpec:
    """Return the spec with every path made absolute: a worker runs in its own folder."""
    absolute: dict[str, str | tuple[str, ...]] = {}
    for name in _PATH_FIELDS:
        value = getattr(spec, name, None)
        if isinstance(value, str):
            absolute[name] = str(Path(value).expanduser().absolute())
        elif isinstance(value, tuple):
            absolute[name] = tuple(str(Path(path).expanduser().absolute()) for path in value)
    return spec.model_copy(update=absolute)


def check_paths(spec: JobSpec) -> None:
    """Refuse by the first bytes of what is named; rows and weights are the worker's to read.

    Raises:
        SpecError: a path cannot be what it should be.
        ModelError: the model's folder is damaged, incomplete, unsafe or of a kind that cannot be loaded here.
        DataError: the data file is empty, binary or of no known kind.
    """
    if isinstance(spec, ModelJobSpec):
        check_model_job(spec)
    elif not Path(spec.model).is_dir():
        what = "is a file" if Path(spec.model).exists() else "does not exist"
        raise SpecError(f"model: {spec.model} {what}.", "Name the folder that holds config.json.", "model")
    else:
        check_model_folder(Path(spec.model))
    for variant in getattr(spec, "variants", ()):
        if not Path(variant).exists():
            raise SpecError(f"variants: {variant} does not exist.", "Name model folders or GGUF files.", "variants")
        if model_facts(Path(variant)).kind not in ("gguf", "onnx"):
            check_model_folder(Path(variant))
    data = getattr(spec, "data", None)
    if data is not None:
        _check_data("data", (data, *getattr(spec, "more_data", ())))
    evaluation = getattr(spec, "evaluation_data", None)
    if evaluation is not None:
        _check_data("evaluation_data", (evaluation,))
    overlay = getattr(spec, "overlay", None)
    if overlay is not None:
        read_overlay(Path(overlay))
    checkpoint = getattr(spec, "checkpoint", None)
    if checkpoint is not None and not (Path(checkpoint) / MANIFEST).is_file():
        raise SpecError(
            f"checkpoint: {checkpoint} is no checkpoint, or no longer there.",
            "Name a folder checkpoints/step-N of a job.",
            "checkpoint",
        )
    output = getattr(spec, "output", None)
    if output is not None:
        _check_output(Path(output))


def _check_data(field: str, data: tuple[str, ...]) -> None:
    for path in data:
        if not Path(path).exists():
            raise SpecError(
                f"{field}: {path} does not exist.", "Name a JSONL, JSON, CSV, Parquet or text file, or a folder.", field
            )
    for file in data_files(data):
        open_data_file(file)


def _check_output(output: Path) -> None:
    if problem := paths.name_problem(output):
        raise SpecError(f"output: {output} cannot be made: {problem}.", "Choose another name.", "output")
    try:
        is_taken = output.exists() and (not output.is_dir() or any(output.iterdir()))
    except OSError as error:
        raise SpecError(
            f"output: {output} cannot be read: {error.strerror}.", "Choose another folder.", "output"
        ) from (error)
    if is_taken:
        raise SpecError(f"output: {output} exists already.", "Choose another folder, or move that one away.", "output")
