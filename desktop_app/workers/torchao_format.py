"""Read back what torchao's row formats hold: the other half of `torchao_recipe`, without torchao itself."""

from dataclasses import dataclass

import torch

from .quantized_check import ReadSpan, spoiled
from .tensor_source import TensorSource


@dataclass(frozen=True, slots=True, kw_only=True)
class RowFormat:
    """int8 or float8 values with a scale for each row."""

    dtype: torch.dtype
    error_bound: float = 0.15

    @property
    def words(self) -> str:
        """What a layer holds."""
        return f"8-bit values ({str(self.dtype).removeprefix('torch.')})"

    def opened(self, layer: str, shape: tuple[int, ...], written: TensorSource) -> ReadSpan:
        """Read the scales whole, the weights span by span."""
        data, scale, zero = (f"{layer}._weight_{what}" for what in ("qdata", "scale", "zero_point"))
        if data not in written or scale not in written:
            raise spoiled(f"{layer} is missing, or not in torchao's format")
        if written.dtype(data) != self.dtype or written.shape(data) != shape:
            raise spoiled(f"{layer} is {written.dtype(data)} of shape {written.shape(data)}, not {self.dtype}, {shape}")
        if zero in written and written.read(zero).any():
            raise spoiled(f"{layer} has zero points, which a symmetric format does not have")
        scales = written.read(scale).float()

        def read(start: int, count: int) -> torch.Tensor:
            rows = written.read(data, start, count).float().view(-1, shape[1])
            return rows * scales[start // shape[1] :][: len(rows), None]

        return read
