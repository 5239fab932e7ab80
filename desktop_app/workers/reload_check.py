"""Let a process of its own open a finished copy: whole where memory allows, else one layer after the other.

Knows what is asked and what an answer means; `copy_opening` is the other side. What was done, and why not more, is
part of what was found.
"""

import atexit
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import torch

from desktop_app.domain.quantize_method import QuantizeMethod
from desktop_app.domain.quantize_spec import QuantizeSpec
from desktop_app.errors import AppError, MemoryShortage, ModelError
from desktop_app.helper_process import HelperProcess
from desktop_app.pipe import BrokenPipe, unpacked_error

from .device import dtype_name
from .quantized_check import spoiled
from .reference import Reference, keep_reference
from .reporter import Reporter
from .tensor_source import TensorSource

if TYPE_CHECKING:
    from .gguf.tensor_plan import GgufTensor

_LOOK_S = 0.2
_MOST_OF_FREE = 0.9
# Libraries, logits, and what loaders hold for a moment.
_BESIDE_BYTES = 500_000_000
# Weights over the files': loaders hold a tensor twice. transformers makes all of a GGUF file 16 bits, then a model.
_LOADED_SHARE = 1.2
_GGUF_BYTES_A_WEIGHT = 4.0
# Ended for want of memory: by the system, by itself, and as Windows says it (STATUS_NO_MEMORY).
_NO_MEMORY = (-9, 137, 0xC0000017)


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenCopy:
    """A copy as it was planned. `layers`: those that are quantized, with their shapes; of a GGUF file its tensors."""

    spec: QuantizeSpec
    method: QuantizeMethod
    source: Path
    folder: Path
    where: torch.device
    dtype: torch.dtype
    layers: Mapping[str, tuple[int, int]]
    gguf_file: str = ""
    gguf_tensors: Sequence["GgufTensor"] = ()


def reloaded(
    copy: WrittenCopy, reporter: Reporter, reference: Reference | None = None, most_divergence: float = 0.0
) -> dict[str, str]:
    """Open a copy, and say what was found; with a `reference` of the original it may diverge by at most so much.

    Raises:
        StorageError: it cannot be loaded, is not quantized as planned, or gives values that are not finite.
        CancelledByUser: the user ended it.
    """
    reporter.stage("Loading the result")
    try:
        _check_room(copy)
        return {"reload": _whole(copy, reporter, reference, most_divergence)}
    except MemoryShortage as shortage:
        reason = shortage.message
    except ModelError as error:
        if not copy.gguf_file:
            raise spoiled(f"it cannot be loaded: {error.message}") from error
        reason = f"transformers does not read it ({error.message})"
    return {"reload": _layer_by_layer(copy, reporter, reason)}


def _whole(copy: WrittenCopy, reporter: Reporter, reference: Reference | None, most_divergence: float) -> str:
    with tempfile.TemporaryDirectory() as place:
        kept = Path(place) / "reference.safetensors"
        if reference is not None:
            keep_reference(reference, kept)
        found = _asked(reporter, "open_whole", dtype=dtype_name(copy.dtype), reference=str(kept) if reference else "",
                       **_named(copy))  # fmt: skip
    if found["missing"]:
        raise ModelError(f"it does not find {found['missing']} of the model's weights there")
    if not copy.gguf_file and found["layers"] != len(copy.layers):
        raise spoiled(f"loaded, it has {found['layers']} quantized layers, not {len(copy.layers)}")
    said = f"loads completely in a process of its own, {_finite(found)}"
    if not copy.gguf_file:
        said = f"{said}; {found['layers']} layers are quantized"
    if reference is not None:
        said = f"{said}; {_near(found['divergence'], most_divergence)}"
    return said


def _layer_by_layer(copy: WrittenCopy, reporter: Reporter, reason: str) -> str:
    reason = reason.rstrip(".")
    try:
        found = _asked(
            reporter,
            "open_layers",
            spec=copy.spec.model_dump(mode="json"),
            method=copy.method,
            layers=dict(copy.layers),
            gguf_tensors=[asdict(tensor) | {"values": None} for tensor in copy.gguf_tensors],
            **_named(copy),
        )
    except (MemoryShortage, ModelError) as error:
        return f"left out: {reason}, and layer by layer: {error.message}"
    return f"computed layer by layer in a process of its own, {_finite(found)}; not whole: {reason}"


def _finite(found: Mapping[str, Any]) -> str:
    if not found["is_finite"]:
        raise spoiled("its logits are not finite")
    return f"{found['logits']:,} logits are finite"


def _near(divergence: float, most: float) -> str:
    if not divergence < most:
        raise spoiled(f"its mean KL divergence from the original is {divergence:.3g}, allowed is {most}")
    return f"its mean KL divergence from the original is {divergence:.3g} nats (allowed {most})"


def _named(copy: WrittenCopy) -> dict[str, Any]:
    names = {"folder": str(copy.folder), "source": str(copy.source), "gguf_file": copy.gguf_file}
    return {**names, "device": str(copy.where), "threads": torch.get_num_threads()}


def _check_room(copy: WrittenCopy) -> None:
    """Refuse to load whole what does not fit beside what the computer does now.

    Raises:
        MemoryShortage: so.
    """
    if copy.gguf_file:
        weights = sum(torch.Size(tensor.shape).numel() for tensor in copy.gguf_tensors)
        needed = _GGUF_BYTES_A_WEIGHT * weights
    else:
        with TensorSource(copy.folder) as written:
            needed = _LOADED_SHARE * written.total_bytes
    is_on_gpu = copy.where.type == "cuda" and not copy.gguf_file  # a GGUF file is read into RAM first
    free = torch.cuda.mem_get_info(copy.where)[0] if is_on_gpu else psutil.virtual_memory().available
    if needed + _BESIDE_BYTES > _MOST_OF_FREE * free:
        raise MemoryShortage(f"that takes about {(needed + _BESIDE_BYTES) / 1e9:.1f} GB, and {free / 1e9:.1f} are free")


_opener: HelperProcess | None = None


def _asked(reporter: Reporter, what: str, **params: Any) -> dict[str, Any]:
    """Ask the other process, which is started for the first copy of a job and ends with this one.

    Raises:
        MemoryShortage: it was ended for want of memory.
        StorageError: it ended otherwise: a copy at which a loader dies is not one.
        AppError: what it said itself.
    """
    global _opener
    if _opener is None:
        _opener = HelperProcess("copy_opening", reporter.folder.path)
    opener = _opener
    try:
        opener.send({"method": what, "params": params})
        answer = _heard(opener, reporter)
    except (EOFError, BrokenPipe, OSError) as error:
        code = opener.exit_code()
        _end_opener()
        if code in _NO_MEMORY:
            raise MemoryShortage("the computer's memory became full") from error
        raise spoiled(f"the process that loaded it ended with exit code {code}") from error
    except BaseException:
        _end_opener()  # cancelled: it would go on for nobody
        raise
    if "error" not in answer:
        return dict(answer["result"])
    if answer["error"]["kind"] == "bug":
        raise ModelError(answer["error"]["message"])  # of a library: nobody foresaw what it raised
    problem: AppError = unpacked_error(answer["error"])
    raise problem


def _heard(opener: HelperProcess, reporter: Reporter) -> dict[str, Any]:
    """Wait for the answer, and heed the user meanwhile."""
    while True:
        reporter.heed()
        try:
            word: dict[str, Any] = opener.take(time.monotonic() + _LOOK_S)
        except TimeoutError:
            continue
        if "progress" in word:
            reporter.progress(word["progress"]["done"], word["progress"]["total"], "layer")
        elif "ready" not in word:
            return word


def _end_opener() -> None:
    global _opener
    opener, _opener = _opener, None
    if opener is not None:
        opener.end()


atexit.register(_end_opener)
