"""Read back what bitsandbytes' formats hold, a span at a time: the other half of `bitsandbytes_recipe`."""

import json
from dataclasses import dataclass
from math import sqrt

import torch
from bitsandbytes import functional as bitsandbytes_functional

from .quantized_check import ReadSpan, spoiled
from .tensor_source import TensorSource

# Normally distributed weights give about 0.09 for NF4 and 0.12 for FP4 in blocks of 64; outliers give more.
_BASE_BOUND = {"nf4": 0.3, "fp4": 0.5}


@dataclass(frozen=True, slots=True, kw_only=True)
class FourBitFormat:
    """NF4 or FP4 with this block size."""

    kind: str
    block_size: int

    @property
    def words(self) -> str:
        """What a layer holds."""
        return f"4-bit values ({self.kind.upper()})"

    @property
    def error_bound(self) -> float:
        """Larger blocks share a scale among more weights."""
        return min(0.9, _BASE_BOUND[self.kind] * sqrt(max(64, self.block_size) / 64))

    def opened(self, layer: str, shape: tuple[int, ...], written: TensorSource) -> ReadSpan:
        """Read the scales whole, the weights span by span."""
        name = f"{layer}.weight"
        state = f"{name}.quant_state.bitsandbytes__{self.kind}"
        _wanted(written, name, torch.uint8)
        if state not in written:
            raise spoiled(f"{layer} is not in {self.kind.upper()}")
        said = json.loads(bytes(written.read(state).tolist()))
        if tuple(said["shape"]) != shape or said["blocksize"] != self.block_size:
            raise spoiled(f"{layer} has the shape {said['shape']} in blocks of {said['blocksize']}, not {list(shape)}")
        scales = written.read(f"{name}.absmax")
        if f"{name}.nested_absmax" in written:
            nested = bitsandbytes_functional.QuantState(
                absmax=written.read(f"{name}.nested_absmax"),
                code=written.read(f"{name}.nested_quant_map"),
                blocksize=said["nested_blocksize"],
                dtype=torch.float32,
            )
            scales = bitsandbytes_functional.dequantize_blockwise(scales, nested) + said["nested_offset"]

        def read(start: int, count: int) -> torch.Tensor:
            packed = written.read(name, start // 2, -(-count // 2))
            some = scales[start // self.block_size : -(-(start + count) // self.block_size)].contiguous()
            return torch.ops.bitsandbytes.dequantize_4bit(
                packed, some, self.block_size, self.kind, (count // shape[1], shape[1]), torch.float32
            )

        return read


@dataclass(frozen=True, slots=True, kw_only=True)
class Int8Format:
    """LLM.int8: rows of int8, and the largest value of each row."""

    words: str = "8-bit values"
    error_bound: float = 0.15

    def opened(self, layer: str, shape: tuple[int, ...], written: TensorSource) -> ReadSpan:
        """Read the largest values whole, the weights span by span."""
        name = f"{layer}.weight"
        _wanted(written, name, torch.int8)
        if written.shape(name) != shape or f"{layer}.SCB" not in written:
            raise spoiled(f"{layer} has the shape {written.shape(name)}, not {shape}, or no scales")
        scales = written.read(f"{layer}.SCB").float() / 127

        def read(start: int, count: int) -> torch.Tensor:
            rows = written.read(name, start, count).float().view(-1, shape[1])
            return rows * scales[start // shape[1] :][: len(rows), None]

        return read


def _wanted(written: TensorSource, name: str, dtype: torch.dtype) -> None:
    if name not in written:
        raise spoiled(f"{name} is missing")
    if written.dtype(name) != dtype:
        raise spoiled(f"{name} is {written.dtype(name)}, not {dtype}")
