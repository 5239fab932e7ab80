"""Read a GGUF file back and compare it with the model it was made of, tensor by tensor, straight from the files.

Header and blocks are decoded by other code than wrote them: `library.gguf_header` and the `gguf` package. Memory is
that of a few rows.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import gguf
import numpy as np
import torch
from gguf import GGMLQuantizationType as Type

from desktop_app.domain.quantize_method import QuantizeMethod
from desktop_app.domain.quantize_spec import QuantizeSpec
from desktop_app.errors import ModelError, StorageError
from desktop_app.library.gguf_header import read_gguf_header
from desktop_app.workers import device
from desktop_app.workers.quantized import Check, Checked
from desktop_app.workers.reload_check import WrittenCopy, reloaded
from desktop_app.workers.reporter import Reporter
from desktop_app.workers.tensor_source import TensorSource

from .block_format import FORMATS
from .gguf_file import FileTensor
from .tensor_plan import GgufTensor

# Norm of the difference over norm of the original. Normally distributed weights give about a quarter of these; another
# tensor's weights give 1.4.
ERROR_BOUND = {
    Type.F32: 1e-6, Type.F16: 0.01, Type.BF16: 0.01, Type.Q8_0: 0.03, Type.Q6_K: 0.08, Type.Q5_K: 0.15, Type.Q5_0: 0.2,
    Type.Q5_1: 0.15, Type.Q4_K: 0.3, Type.Q4_0: 0.4, Type.Q4_1: 0.35, Type.Q3_K: 0.6,
}  # fmt: skip
_PIECE_ELEMENTS = 1 << 18


def check_copy(
    spec: QuantizeSpec,
    method: QuantizeMethod,
    source: Path,
    file_name: str,
    tensors: Sequence[GgufTensor],
    written: Sequence[FileTensor],
    kept: frozenset[str],
    reporter: Reporter,
) -> Check:
    """Return the check of a file of this name: is it what was planned, and near the model it was made of?

    `kept`: layers that were left as they are.
    """

    def check(folder: Path) -> Checked:
        reporter.stage("Checking the result")
        file = folder / file_name
        places = _checked_header(file, written)
        errors: dict[str, float] = {}
        total = sum(tensor.size_bytes for tensor in written)
        done = 0
        with TensorSource(source) as original, file.open("rb", buffering=0) as stream:
            for tensor, planned in zip(tensors, written, strict=True):
                reporter.heed()
                reporter.progress(done, total, "byte")
                error = _error(tensor, planned, places[tensor.name], stream, original)
                if tensor.is_matrix and tensor.module not in kept:
                    errors[tensor.module] = error
                done += planned.size_bytes
        reporter.progress(total, total, "byte")
        copy = WrittenCopy(
            spec=spec,
            method=method,
            source=source,
            folder=folder,
            where=device.chosen_device(spec.device),
            dtype=torch.bfloat16,
            layers={},
            gguf_file=file_name,
            gguf_tensors=tensors,
        )
        checked = _checked(written, errors, [tensor.module for tensor in tensors if tensor.module in kept])
        return replace(checked, findings={**checked.findings, **reloaded(copy, reporter)})

    return check


def _checked(written: Sequence[FileTensor], errors: dict[str, float], kept: list[str]) -> Checked:
    counts: dict[str, int] = {}
    for planned in written:
        counts[planned.type.name] = counts.get(planned.type.name, 0) + 1
    findings = {
        "names and shapes": f"{len(written)} tensors, all finite",
        "format": ", ".join(f"{count} in {name}" for name, count in sorted(counts.items())),
    }
    mean, worst = sum(errors.values()) / len(errors), max(errors.values())
    findings["relative error"] = f"mean {mean:.4f}, worst {worst:.4f} of {len(errors)} layers"
    return Checked(errors=errors, kept=tuple(kept), findings=findings)


def _checked_header(file: Path, written: Sequence[FileTensor]) -> dict[str, int]:
    """Compare header and plan; return the first byte of each tensor."""
    try:
        found = read_gguf_header(file).tensors
    except ModelError as error:
        raise _spoiled(f"its header cannot be read back: {error.message}") from error
    for planned in written:
        tensor = found.get(planned.name)
        if tensor is None:
            raise _spoiled(f"{planned.name} is missing")
        if (tensor.shape, tensor.type_number) != (planned.shape, planned.type):
            raise _spoiled(f"{planned.name} is listed as {tensor}, not as {planned.type.name} {planned.shape}")
    if len(found) != len(written):
        raise _spoiled(f"it lists {len(found)} tensors, not {len(written)}")
    end = max(found[planned.name].begin + planned.size_bytes for planned in written)
    if file.stat().st_size < end:
        raise _spoiled(f"it has {file.stat().st_size:,} bytes, its tensors need {end:,}")
    return {name: tensor.begin for name, tensor in found.items()}


def _error(tensor: GgufTensor, planned: FileTensor, begin: int, stream: BinaryIO, original: TensorSource) -> float:
    """Return the relative error of a tensor.

    Raises:
        StorageError: it holds values that are not finite, or is another one's.
    """
    columns = tensor.shape[-1]
    how = FORMATS[planned.type]
    rows = int(np.prod(tensor.shape[:-1], dtype=np.int64))
    unit = max(1, tensor.paired_head) if len(tensor.shape) > 1 else 1
    step = max(1, _PIECE_ELEMENTS // columns // unit) * unit
    differences = squares = 0.0
    for first in range(0, rows, step):
        count = min(step, rows - first)
        stream.seek(begin + first * how.row_bytes(columns))
        data = _read(stream, count * how.row_bytes(columns)).reshape(count, -1)
        values = torch.from_numpy(gguf.quants.dequantize(data, planned.type)).view(count, columns)
        if not values.isfinite().all():
            raise _spoiled(f"{planned.name} holds values that are not finite")
        if tensor.values is not None:
            wanted = tensor.values.view(rows, columns)[first : first + count]
        else:
            wanted = tensor.arranged(
                original.read(tensor.source, first * columns, count * columns).view(count, columns)
            )
        wanted = wanted.float()
        differences += float((values - wanted).square().sum(dtype=torch.float64))
        squares += float(wanted.square().sum(dtype=torch.float64))
    error = (differences / max(squares, 1e-24)) ** 0.5
    if not error <= ERROR_BOUND[planned.type]:
        raise _spoiled(
            f"{planned.name} differs from the original by {error:.3f}, allowed are {ERROR_BOUND[planned.type]}"
        )
    return error


def _read(stream: BinaryIO, count: int) -> "np.ndarray[Any, Any]":
    data = bytearray(stream.read(count))
    if len(data) < count:
        raise _spoiled("it ends too early")
    return np.frombuffer(data, np.uint8)


def _spoiled(what: str) -> StorageError:
    return StorageError(f"The result is not right: {what}.", "Run it again; if it happens again, report it.")
