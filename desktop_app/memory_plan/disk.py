"""What a job writes, where, and on which volumes that lies: result, checkpoints, copies that go again.

Sizes follow from spec and model; only `disk_rooms` asks the disks.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from desktop_app import paths
from desktop_app.domain.bring_in_spec import BringInSpec
from desktop_app.domain.bundle_spec import BundleSpec, OpenBundleSpec
from desktop_app.domain.convert_spec import ConvertSpec
from desktop_app.domain.download_spec import DownloadSpec
from desktop_app.domain.evaluate_spec import EvaluateSpec
from desktop_app.domain.export_spec import ExportSpec, export_bytes
from desktop_app.domain.finetune_spec import FinetuneSpec
from desktop_app.domain.job import KINDS_THAT_GO_ON
from desktop_app.domain.model_facts import ModelFacts
from desktop_app.domain.quantize_method import METHODS
from desktop_app.domain.quantize_spec import QuantizeSpec
from desktop_app.domain.quantized_size import quantized_bytes, temporary_bytes
from desktop_app.domain.spec import AnySpec
from desktop_app.hardware.disk import SMALL_FILES_BYTES, free_bytes

from .training import OPTIMIZER_BYTES, trained_parameters

DiskPlace = Literal["job", "output"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskPart:
    """Something that is written. `place`: in the job's folder or where the result goes; `stays`: after the job too."""

    name: str
    bytes: int
    formula: str
    place: DiskPlace = "output"
    stays: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskRoom:
    """One volume that a job writes to: a folder on it, what it will get, and what is free there now."""

    folder: str
    needed_bytes: int
    free_bytes: int

    @property
    def is_too_small(self) -> bool:
        """Whether a job would refuse to start: it wants room for small files beside what it counted."""
        return self.needed_bytes > 0 and self.needed_bytes + SMALL_FILES_BYTES > self.free_bytes


def disk_parts(spec: AnySpec, facts: ModelFacts) -> tuple[DiskPart, ...]:
    """Say what a job will write at most; `facts` are those of its model, or of what is moved the size alone."""
    match spec:
        case FinetuneSpec():
            return _training(spec, facts)
        case QuantizeSpec():
            return _quantized(spec, facts)
        case ExportSpec():
            size, _ = export_bytes(spec, facts, facts)
            words = f"the model as {spec.gguf_type if spec.form == 'gguf' else spec.form}"
            return (
                DiskPart(name="Result", bytes=size, formula=words),
                DiskPart(
                    name="Temporary copy",
                    bytes=size,
                    formula="made and tried here before it is copied to its place",
                    place="job",
                    stays=False,
                ),
            )
        case EvaluateSpec(variants=variants) if variants:
            scores = 2 * spec.max_tokens * facts.shape.vocab_size
            words = f"{spec.max_tokens:,} tokens × {facts.shape.vocab_size:,} words × 2 bytes"
            return (DiskPart(name="Temporary copy", bytes=scores, formula=words, place="job", stays=False),)
        case BundleSpec() | OpenBundleSpec():
            return (DiskPart(name="Bundle", bytes=facts.size_bytes, formula="what goes along, each file once"),)
        case DownloadSpec() if facts.size_bytes:
            words = "the chosen files, each written where it stays"
            return (DiskPart(name="Model", bytes=facts.size_bytes, formula=words),)
        case ConvertSpec() | BringInSpec():
            return (DiskPart(name="Result", bytes=facts.size_bytes, formula="as large as the original"),)
        case _:
            return ()


def training_disk_bytes(spec: FinetuneSpec, facts: ModelFacts) -> int:
    """Say how much a fine-tuning writes at most: its result, and the checkpoints with the optimizer's values."""
    return sum(part.bytes for part in _training(spec, facts))


def disk_rooms(spec: AnySpec, parts: Sequence[DiskPart]) -> tuple[DiskRoom, ...]:
    """Ask the volumes that a job will write its `parts` to; those on the same volume are added up.

    Raises:
        StorageError: a volume cannot be asked.
    """
    job = paths.jobs_dir()
    output = getattr(spec, "output", None) or (paths.models_dir() if spec.kind in KINDS_THAT_GO_ON else job)
    rooms: dict[object, DiskRoom] = {}
    for folder in dict.fromkeys((Path(output), job)):
        needed = sum(part.bytes for part in parts if (job if part.place == "job" else Path(output)) == folder)
        place = _existing(folder)
        key = place.stat().st_dev
        before = rooms.get(key)
        if before is not None:
            needed += before.needed_bytes
        rooms[key] = DiskRoom(
            folder=before.folder if before else str(folder), needed_bytes=needed, free_bytes=free_bytes(place)
        )
    return tuple(room for room in rooms.values() if room.needed_bytes or len(rooms) == 1)


def _training(spec: FinetuneSpec, facts: ModelFacts) -> tuple[DiskPart, ...]:
    trained = trained_parameters(spec, facts)
    per_weight, _ = OPTIMIZER_BYTES[spec.optimizer]
    each = int(trained * (4 + per_weight))
    kept = spec.keep_checkpoints + spec.keep_best
    whole = facts.parameters * (4 if facts.dtype in ("F32", "float32", "fp32") else 2)
    result = trained * 4 if spec.is_adapter else whole
    words = f"{trained:,} weights × 4 bytes" if spec.is_adapter else f"{facts.parameters:,} weights"
    parts = [
        DiskPart(name="Result", bytes=result, formula=words),
        DiskPart(
            name="Checkpoints",
            bytes=each * kept,
            formula=f"{kept} kept × {each:,} bytes: weights and what the optimizer remembers",
            place="job",
        ),
        DiskPart(
            name="Temporary copy",
            bytes=each,
            formula="one more checkpoint, until the oldest may go",
            place="job",
            stays=False,
        ),
    ]
    if spec.merge:
        parts.insert(1, DiskPart(name="Merged model", bytes=whole, formula=f"{facts.parameters:,} weights"))
    return tuple(parts)


def _quantized(spec: QuantizeSpec, facts: ModelFacts) -> tuple[DiskPart, ...]:
    parts = [
        DiskPart(
            name=f"Result, {METHODS[method].title}" if spec.further_methods else "Result",
            bytes=quantized_bytes(spec, method, facts),
            formula=f"{facts.parameters:,} weights in {METHODS[method].title}",
        )
        for method in spec.methods
    ]
    beside = sum(temporary_bytes(method, facts) for method in spec.methods)
    if beside:
        words = f"{facts.parameters:,} weights × 8 bytes: the graph in 32 bits, before and after it is quantized"
        parts.append(DiskPart(name="Temporary copy", bytes=beside, formula=words, stays=False))
    return tuple(parts)


def _existing(folder: Path) -> Path:
    place = folder.absolute()
    while not place.is_dir() and place != place.parent:
        place = place.parent
    return place
