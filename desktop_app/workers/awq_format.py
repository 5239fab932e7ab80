"""Read back what AWQ's packed layers hold, and compare it with an original whose scales it has moved about.

AWQ multiplies the inputs of a layer by scales and divides what feeds that layer, a norm or the layer before it, by
the same: the model computes what it did. So a layer is like its original up to a factor for each input and output.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from .quantized_check import QuantizedCheck, ReadSpan, spoiled
from .tensor_source import TensorSource

_BITS = 4
_IN_WORD = 8
# NOTE: as in gptqmodel's packing, which is AutoAWQ's: the places of a word's outputs, lowest bits first.
_ORDER = (0, 2, 4, 6, 1, 3, 5, 7)
_BOUND = 0.45
_ROUNDS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class AwqFormat:
    """Words of eight outputs along a row of inputs; scale and zero for each group of inputs and each output."""

    group_size: int

    @property
    def words(self) -> str:
        """What a layer holds."""
        return f"{_BITS}-bit values (AWQ)"

    @property
    def error_bound(self) -> float:
        """Several times what normally distributed weights give, clipped as it does."""
        return _BOUND

    def opened(self, layer: str, shape: tuple[int, ...], written: TensorSource) -> ReadSpan:
        """Unpack the layer, a byte for each weight."""
        outputs, inputs = shape
        groups = inputs // self.group_size
        words = _part(layer, "qweight", (inputs, outputs // _IN_WORD), written)
        values = unpacked(words)  # (inputs, outputs)
        zeros = unpacked(_part(layer, "qzeros", (groups, outputs // _IN_WORD), written)).float()
        scales = _part(layer, "scales", (groups, outputs), written).float()
        group = torch.arange(inputs) // self.group_size

        def read(start: int, count: int) -> torch.Tensor:
            rows = slice(start // inputs, (start + count) // inputs)
            return ((values[:, rows].float() - zeros[group, rows]) * scales[group, rows]).T

        return read


class AwqCheck(QuantizedCheck):
    """As its parent, up to the scales that AWQ moves: between layers, and into norms and biases."""

    def layer_error(self, layer: str, written: TensorSource, original: TensorSource) -> float:
        """Return the relative error that is left after undoing the scales."""
        outputs, inputs = shape = self.layers[layer]
        values = self.format.opened(layer, shape, written)(0, outputs * inputs).reshape(shape)
        if not values.isfinite().all():
            raise spoiled(f"{layer} holds values that are not finite")
        error = error_beside_scales(values, original.read(f"{layer}.weight").view(shape).float())
        self.refuse_beyond(layer, error)
        return error

    def check_plain(self, name: str, written: TensorSource, original: TensorSource) -> None:
        """Demand the original's own numbers but of norms and biases, which need only be finite."""
        if len(original.shape(name)) > 1:
            super().check_plain(name, written, original)
            return
        if name not in written or written.shape(name) != original.shape(name):
            raise spoiled(f"{name} is missing or has another shape")
        if not written.read(name).isfinite().all():
            raise spoiled(f"{name} holds values that are not finite")


def error_beside_scales(values: torch.Tensor, wanted: torch.Tensor) -> float:
    """Norm of the difference over norm of `wanted`, with the best factor for each row and column of `values`.

    By alternating least squares. Another layer's weights give nearly 1.
    """
    scaled = values.clone()
    for dim in (0, 1) * _ROUNDS:
        squares = scaled.square().sum(dim, keepdim=True)
        scaled *= (scaled * wanted).sum(dim, keepdim=True) / squares.clamp(min=torch.finfo(torch.float32).tiny)
    return float((scaled - wanted).norm() / wanted.norm().clamp(min=torch.finfo(torch.float32).tiny))


def awq_format(folder: Path, group_size: int) -> AwqFormat:
    """Describe the format that a folder's config.json says.

    Raises:
        StorageError: it is not the one that was asked for.
    """
    said: dict[str, Any] = json.loads((folder / "config.json").read_text(encoding="utf-8"))["quantization_config"]
    names = ("quant_method", "bits", "group_size", "version", "zero_point")
    found, wanted = [said.get(name) for name in names], ["awq", _BITS, group_size, "gemm", True]
    if found != wanted:
        raise spoiled(f"config.json says {found}, not {wanted}")
    return AwqFormat(group_size=group_size)


def unpacked(words: torch.Tensor) -> torch.Tensor:
    """Take eight values out of each word: (n, m) -> (n, 8 m) uint8."""
    values = torch.empty((*words.shape, _IN_WORD), dtype=torch.uint8)
    for place, output in enumerate(_ORDER):
        values[..., output] = (words >> place * _BITS & 15).to(torch.uint8)
    return values.flatten(1)


def _part(layer: str, name: str, shape: tuple[int, ...], written: TensorSource) -> torch.Tensor:
    whole = f"{layer}.{name}"
    if whole not in written:
        raise spoiled(f"{whole} is missing")
    if written.shape(whole) != shape:
        raise spoiled(f"{whole} has the shape {written.shape(whole)}, not {shape}")
    return written.read(whole).view(shape)
