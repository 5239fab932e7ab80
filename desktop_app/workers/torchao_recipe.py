"""How torchao writes one matrix: int8 or float8 with a scale for each row, and its own description in the header.

Each piece of whole rows goes through torchao's own `quantize_` and its own flattening, so the bits are torchao's.
Its 4-bit weights are not here: stored as int8 they would have the loss of 4 bits at the size of 8.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torchao.prototype.safetensors.safetensors_support import flatten_tensor_state_dict
from torchao.quantization import (
    Float8WeightOnlyConfig,
    Int8DynamicActivationInt8WeightConfig,
    Int8WeightOnlyConfig,
    quantize_,
)

from .tensor_sink import PlannedTensor

_CONFIGS = {
    "int8_weight_only": Int8WeightOnlyConfig,
    "int8_dynamic": Int8DynamicActivationInt8WeightConfig,
    "float8_weight_only": Float8WeightOnlyConfig,
}


def torchao_config(method: str) -> Any:
    """Return torchao's description of a method."""
    return _CONFIGS[method]()


@dataclass(frozen=True, slots=True, kw_only=True)
class TorchaoRows:
    """A matrix whose rows have a scale each. `shape`: (out_features, in_features)."""

    name: str
    shape: tuple[int, ...]
    dtype: torch.dtype
    device: torch.device
    method: str
    is_turned: bool = False
    whole_rows: bool = True
    multiple: int = 1

    @property
    def planned(self) -> tuple[PlannedTensor, ...]:
        """The weights first, then a scale for each row, and zero points where the format has them."""
        is_float = self.method == "float8_weight_only"
        data = torch.float8_e4m3fn if is_float else torch.int8
        tensors = [PlannedTensor(name=self._flat("qdata"), dtype=data, shape=self.shape)]
        tensors.append(PlannedTensor(name=self._flat("scale"), dtype=torch.float32, shape=(self.shape[0], 1)))
        if not is_float:
            tensors.append(PlannedTensor(name=self._flat("zero_point"), dtype=torch.int8, shape=(self.shape[0], 1)))
        return tuple(tensors)

    @property
    def remarks(self) -> dict[str, str]:
        """What torchao writes about the matrix into the header; without it the file cannot be loaded."""
        return {self.name: self._flattened(torch.zeros(1, self.shape[1]))[1][self.name]}

    def convert(self, piece: torch.Tensor) -> tuple[torch.Tensor, tuple[torch.Tensor, ...]]:
        """Quantize whole rows."""
        tensors, _ = self._flattened(piece)
        values, *beside = (tensors[planned.name].cpu() for planned in self.planned)
        return values, tuple(beside)

    def rest(self, kept: list[tuple[torch.Tensor, ...]]) -> dict[str, torch.Tensor]:
        """Put the scales of all pieces together."""
        names = [planned.name for planned in self.planned[1:]]
        return {name: torch.cat(pieces) for name, pieces in zip(names, zip(*kept, strict=True), strict=True)}

    def _flattened(self, rows: torch.Tensor) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
        holder = torch.nn.Linear(rows.shape[1], rows.shape[0], bias=False, device="meta")
        values = rows.to(self.dtype).to(self.device).contiguous()
        holder.weight = torch.nn.Parameter(values, requires_grad=False)
        quantize_(holder, torchao_config(self.method))
        tensors, remarks = flatten_tensor_state_dict({self.name: holder.weight})
        return tensors, remarks

    def _flat(self, what: str) -> str:
        return f"{self.name.removesuffix('weight')}_weight_{what}"
