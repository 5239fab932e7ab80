"""The weights of a quantized folder by the names that the model's own folder has, each dequantized when read."""

from collections.abc import Iterator, Mapping

import torch

from .quantized_check import Format
from .tensor_source import TensorSource


class CopyWeights:
    """`layers`: the quantized ones with their shapes; what else there is, is read as it lies there."""

    def __init__(self, written: TensorSource, format_: Format, layers: Mapping[str, tuple[int, int]]) -> None:
        self._written = written
        self._format = format_
        self._layers = {f"{layer}.weight": layer for layer in layers}
        self._shapes = {f"{layer}.weight": shape for layer, shape in layers.items()}
        parts = tuple(f"{layer}." for layer in layers)
        biases = {f"{layer}.bias" for layer in layers}
        plain = (name for name in written if name in biases or not name.startswith(parts))
        self._names = [*self._layers, *plain]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of a tensor, as if it were not quantized."""
        return self._shapes.get(name) or self._written.shape(name)

    def read(self, name: str, start: int = 0, count: int | None = None) -> torch.Tensor:
        """Return values as a flat tensor; of a quantized layer in fp32, and only whole."""
        if name not in self._layers:
            return self._written.read(name, start, count)
        shape = self._shapes[name]
        return self._format.opened(self._layers[name], shape, self._written)(0, shape[0] * shape[1]).reshape(-1)
