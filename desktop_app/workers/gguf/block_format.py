"""The plain formats of GGUF tensors: numbers as they are, and blocks of 32 weights with one scale (and minimum).

Values and bytes follow the reference quantizer of ggml (ggml/src/ggml-quants.c): block layouts, which of two equal
extremes is taken, and where it rounds are facts of the format, as files of different tools should be the same.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType

from . import k_quants

# Rows of float32 values, and the importance of their columns if it is known -> bytes, (rows, bytes of a row).
Encoder = Callable[[torch.Tensor, torch.Tensor | None], torch.Tensor]
# A search makes many copies of these. Half a megabyte of float32 stays in the cache, and below the size from which
# glibc gets every copy from the system and gives it back (three times slower).
_BLOCKS_AT_ONCE = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockFormat:
    """How a tensor's rows are written. `block` values take `block_bytes`; a row must be whole blocks."""

    type: GGMLQuantizationType
    block: int
    block_bytes: int
    encode: Encoder

    def row_bytes(self, columns: int) -> int:
        """Return the size of a row of `columns` values."""
        return columns // self.block * self.block_bytes


def _plain(dtype: torch.dtype) -> Encoder:
    def encode(rows: torch.Tensor, importance: torch.Tensor | None) -> torch.Tensor:
        return rows.to(dtype).contiguous().view(torch.uint8)

    return encode


def _in_blocks(size: int, encode: Callable[[torch.Tensor], torch.Tensor]) -> Encoder:
    """Make an encoder of rows from one of blocks of float32 values, (blocks, size) -> (blocks, bytes)."""

    def encode_rows(rows: torch.Tensor, importance: torch.Tensor | None) -> torch.Tensor:
        return encode(rows.float().reshape(-1, size)).reshape(len(rows), -1)

    return encode_rows


def _super_blocks(encode: Callable[[torch.Tensor, torch.Tensor | None], torch.Tensor]) -> Encoder:
    """The same for super-blocks of 256 values, to which the importance of their columns is repeated for every row."""

    def encode_rows(rows: torch.Tensor, importance: torch.Tensor | None) -> torch.Tensor:
        blocks = rows.reshape(-1, k_quants.SUPER_BLOCK).split(_BLOCKS_AT_ONCE)
        weights: Sequence[torch.Tensor | None] = [None] * len(blocks)
        if importance is not None:
            weights = importance.expand(len(rows), -1).reshape(-1, k_quants.SUPER_BLOCK).split(_BLOCKS_AT_ONCE)
        encoded = [encode(part.float(), weight) for part, weight in zip(blocks, weights, strict=True)]
        return torch.cat(encoded).reshape(len(rows), -1)

    return encode_rows


def _q8_0(blocks: torch.Tensor) -> torch.Tensor:
    scale = blocks.abs().amax(1, keepdim=True) / 127
    scaled = blocks * _inverse(scale)
    magnitude = scaled.abs()
    floor = magnitude.floor()
    rounded = (floor + (2 * (magnitude - floor)).floor()) * scaled.sign()  # half away from zero
    return torch.cat([_half(scale), rounded.to(torch.int8).view(torch.uint8)], dim=1)


def _symmetric(bits: int) -> Callable[[torch.Tensor], torch.Tensor]:
    """Q4_0 and Q5_0: the value of the largest magnitude becomes the lowest level, so the scale has its sign."""
    half = 1 << (bits - 1)

    def encode(blocks: torch.Tensor) -> torch.Tensor:
        extreme = blocks.gather(1, blocks.abs().argmax(1, keepdim=True))
        scale = extreme / -half
        levels = (blocks * _inverse(scale) + (half + 0.5)).trunc().clamp(0, 2 * half - 1).to(torch.uint8)
        return torch.cat([_half(scale), *_packed(levels, bits)], dim=1)

    return encode


def _with_minimum(bits: int) -> Callable[[torch.Tensor], torch.Tensor]:
    """Q4_1 and Q5_1: levels from the minimum to the maximum."""

    def encode(blocks: torch.Tensor) -> torch.Tensor:
        low = blocks.amin(1, keepdim=True)
        scale = (blocks.amax(1, keepdim=True) - low) / ((1 << bits) - 1)
        levels = ((blocks - low) * _inverse(scale) + 0.5).trunc().clamp(0, (1 << bits) - 1).to(torch.uint8)
        return torch.cat([_half(scale), _half(low), *_packed(levels, bits)], dim=1)

    return encode


def _packed(levels: torch.Tensor, bits: int) -> list[torch.Tensor]:
    """Pack 32 levels: their fifth bits if there are, then two halves of four bits each in a byte."""
    low = levels & 15
    nibbles = low[:, :16] | (low[:, 16:] << 4)
    if bits == 4:
        return [nibbles]
    places = torch.arange(8, dtype=torch.uint8, device=levels.device)
    fifth = (levels >> 4).reshape(len(levels), 4, 8) << places
    return [fifth.sum(2, dtype=torch.uint8), nibbles]


def _inverse(scale: torch.Tensor) -> torch.Tensor:
    return torch.where(scale == 0, torch.zeros_like(scale), 1 / scale)


def _half(values: torch.Tensor) -> torch.Tensor:
    return values.to(torch.float16).view(torch.uint8)


_ENCODERS: Mapping[GGMLQuantizationType, Encoder] = {
    GGMLQuantizationType.F32: _plain(torch.float32),
    GGMLQuantizationType.F16: _plain(torch.float16),
    GGMLQuantizationType.BF16: _plain(torch.bfloat16),
    GGMLQuantizationType.Q8_0: _in_blocks(32, _q8_0),
    GGMLQuantizationType.Q4_0: _in_blocks(32, _symmetric(4)),
    GGMLQuantizationType.Q4_1: _in_blocks(32, _with_minimum(4)),
    GGMLQuantizationType.Q5_0: _in_blocks(32, _symmetric(5)),
    GGMLQuantizationType.Q5_1: _in_blocks(32, _with_minimum(5)),
    GGMLQuantizationType.Q3_K: _super_blocks(k_quants.q3_k),
    GGMLQuantizationType.Q4_K: _super_blocks(k_quants.q4_k),
    GGMLQuantizationType.Q5_K: _super_blocks(k_quants.q5_k),
    GGMLQuantizationType.Q6_K: _super_blocks(k_quants.q6_k),
}
FORMATS: Mapping[GGMLQuantizationType, BlockFormat] = {
    kind: BlockFormat(type=kind, block=GGML_QUANT_SIZES[kind][0], block_bytes=GGML_QUANT_SIZES[kind][1], encode=encode)
    for kind, encode in _ENCODERS.items()
}
