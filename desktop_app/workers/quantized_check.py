"""Compare a quantized folder with its original, piece by piece, straight from the files.

Independent of what wrote it: names and shapes come from the original's skeleton, values from the original's own
files. Memory is that of a piece; what is not quantized must be the original's own numbers.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import torch
from transformers.pytorch_utils import Conv1D

from desktop_app.errors import ModelError, StorageError

from .kept_layers import linear_shapes
from .loading import skeleton
from .tensor_source import TensorSource
from .tensor_stream import PIECE_ELEMENTS

# Reads a span of a quantized tensor: first value and how many of them, in the order of (out_features, in_features).
ReadSpan = Callable[[int, int], torch.Tensor]


class Format(Protocol):
    """How one family of methods stores a layer."""

    @property
    def words(self) -> str:
        """What a layer holds: '4-bit values'."""
        ...

    @property
    def error_bound(self) -> float:
        """Largest allowed norm of the difference over norm of the original; another tensor's weights give 1.4."""
        ...

    def opened(self, layer: str, shape: tuple[int, ...], written: TensorSource) -> ReadSpan:
        """Prepare to read a layer; spans begin at a multiple of the length of all spans but the last.

        Raises:
            StorageError: the layer is missing or stored in another way.
        """
        ...


class QuantizedCheck:
    """`findings` says what was found, by the names of the checks, after `compare`."""

    def __init__(self, source: Path, folder: Path, format_: Format, dtype: torch.dtype, kept: list[str]) -> None:
        self.findings: dict[str, str] = {}
        self._source = source
        self._folder = folder
        self.format = format_
        self._dtype = dtype
        bare = skeleton(source)
        self.layers = {name: shape for name, shape in linear_shapes(bare).items() if name not in kept}
        self._turned = {name for name, module in bare.named_modules() if isinstance(module, Conv1D)}
        self._tied = set(bare.all_tied_weights_keys)
        self._shapes = {name: tuple(tensor.shape) for name, tensor in bare.state_dict().items()}

    def compare(self, tell: Callable[[int, int], None] = lambda done, total: None) -> dict[str, float]:
        """Check every tensor; return the relative error of each quantized layer. `tell` hears bytes done and in all.

        Raises:
            StorageError: a tensor is missing, has another shape or format, is not finite, or is another one's.
        """
        errors: dict[str, float] = {}
        plain = done = 0
        with _opened(self._folder) as written, TensorSource(self._source) as original:
            names = [name for name in original if name in self._shapes]
            total = sum(original.size_bytes(name) for name in names)
            for name in names:
                tell(done, total)
                layer = name.removesuffix(".weight")
                if name.endswith(".weight") and layer in self.layers:
                    errors[layer] = self.layer_error(layer, written, original)
                elif name not in self._tied or name in written:
                    self.check_plain(name, written, original)
                    plain += 1
                done += original.size_bytes(name)
            tell(total, total)
        if not errors:
            raise spoiled("none of its layers could be found again in the original")
        mean, worst = sum(errors.values()) / len(errors), max(errors.values())
        self.findings["names and shapes"] = f"{len(errors)} quantized layers and {plain} other tensors, all finite"
        self.findings["format"] = f"all {len(errors)} layers hold {self.format.words}"
        self.findings["relative error"] = (
            f"mean {mean:.4f}, worst {worst:.4f} of {len(errors)} layers (allowed {self.format.error_bound:.2f})"
        )
        self._check_size()
        return errors

    def layer_error(self, layer: str, written: TensorSource, original: TensorSource) -> float:
        """Compare a quantized layer, a few rows at a time."""
        name, shape = f"{layer}.weight", self.layers[layer]
        read = self.format.opened(layer, shape, written)
        elements = shape[0] * shape[1]
        step = elements if layer in self._turned else max(1, PIECE_ELEMENTS // shape[1]) * shape[1]
        difference = norm = 0.0
        for start in range(0, elements, step):
            count = min(step, elements - start)
            wanted = original.read(name, start, count).float()
            if layer in self._turned:
                wanted = wanted.view(shape[::-1]).T.reshape(-1)
            values = read(start, count).float().reshape(-1)
            if not values.isfinite().all():
                raise spoiled(f"{layer} holds values that are not finite")
            difference += float((values - wanted).square().sum(dtype=torch.float64))
            norm += float(wanted.square().sum(dtype=torch.float64))
        error = float((difference / norm) ** 0.5) if norm else float(difference**0.5)
        self.refuse_beyond(layer, error)
        return error

    def refuse_beyond(self, layer: str, error: float) -> None:
        """Refuse a layer that is another than the original's, or damaged."""
        if not error <= self.format.error_bound:
            raise spoiled(f"{layer} differs from the original by {error:.3f}, allowed is {self.format.error_bound:.2f}")

    def check_plain(self, name: str, written: TensorSource, original: TensorSource) -> None:
        """Compare a tensor that is not quantized."""
        if name not in written:
            raise spoiled(f"{name} is missing")
        if written.shape(name) != self._shapes[name]:
            raise spoiled(f"{name} has the shape {written.shape(name)}, not {self._shapes[name]}")
        elements = torch.Size(self._shapes[name]).numel()
        for start in range(0, elements, PIECE_ELEMENTS):
            values = written.read(name, start, min(PIECE_ELEMENTS, elements - start))
            wanted = original.read(name, start, len(values))
            if values.is_floating_point() and not values.isfinite().all():
                raise spoiled(f"{name} holds values that are not finite")
            if not torch.equal(values, wanted.to(values.dtype)):
                raise spoiled(f"{name} holds other values than the original")

    def _check_size(self) -> None:
        before = sum(path.stat().st_size for path in self._source.glob("*.safetensors"))
        after = sum(path.stat().st_size for path in self._folder.glob("*.safetensors"))
        if after >= before:
            raise spoiled(f"it is not smaller: {after:,} bytes after {before:,}")
        self.findings["size"] = f"{after:,} bytes after {before:,}, {after / before:.3f} of the original"


def spoiled(what: str) -> StorageError:
    """Say that a copy is not what it should be."""
    return StorageError(f"The written model is not the quantized original: {what}.", "Check the disk, then try again.")


def _opened(folder: Path) -> TensorSource:
    try:
        return TensorSource(folder)
    except ModelError as error:
        raise spoiled(f"{error.message.rstrip('.')}") from error
