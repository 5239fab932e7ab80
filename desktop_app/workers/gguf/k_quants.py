"""The K-quants of ggml: super-blocks of 256 weights whose groups of 16 or 32 have scales that are quantized again.

Byte layouts are those of ggml (ggml/src/ggml-common.h, block_q3_K to block_q6_K). With an importance (one weight per
input column) the errors are weighted by it, and the scales of the groups are searched for once more together.
"""

import torch

from .scale_search import affine_scale, descended_scale, positive_scale, quotient, symmetric_scale, total

SUPER_BLOCK = 256
_TINY = 1e-15


def q3_k(blocks: torch.Tensor, importance: torch.Tensor | None = None) -> torch.Tensor:
    """Encode (blocks, 256) float32 values in 3 bits, groups of 16 with signed scales of 6 bits: (blocks, 110) bytes."""
    groups = _groups(blocks, 16)
    if importance is None:
        scales, found = descended_scale(groups, 4)
        scales = scales.view(-1, 16)
        largest = _largest(scales)
        inverse = quotient(-32, largest)
        codes = (scales * inverse).round().clamp(-32, 31)
        codes = torch.where(largest == 0, -32.0, codes)  # stored as 0
        scale = torch.where(largest == 0, 0.0, 1 / inverse)
    else:
        weights = _importance_weights(blocks, importance, 16)
        scales, found = symmetric_scale(groups, weights, 4)
        sums = total(weights.clone()).view(-1, 16)
        scale, codes = symmetric_scale(scales.view(-1, 16).T.contiguous(), sums.T.contiguous(), 32)
        scale, codes = scale[:, None], codes.T - 32
    half = scale.half()
    step = half.float() * codes
    levels = _levels(blocks.view(-1, 16, 16) / step[:, :, None], 4, step, found)
    high = _bits_of_rows((levels > 3).reshape(-1, 8, 32))
    low = levels & 3
    quarters = low.reshape(-1, 2, 4, 32)
    packed = quarters[:, :, 0] | quarters[:, :, 1] << 2 | quarters[:, :, 2] << 4 | quarters[:, :, 3] << 6
    return torch.cat([high, packed.reshape(-1, 64), _six_bits_16((codes + 32).to(torch.uint8)), _bytes(half)], dim=1)


def q4_k(blocks: torch.Tensor, importance: torch.Tensor | None = None) -> torch.Tensor:
    """Encode (blocks, 256) float32 values in 4 bits, groups of 32 with scale and minimum: (blocks, 144) bytes."""
    head, levels = _affine(blocks, importance, 15, (-1.0, 0.1, 20))
    pairs = levels.reshape(-1, 4, 2, 32)
    return torch.cat([head, (pairs[:, :, 0] | pairs[:, :, 1] << 4).reshape(-1, 128)], dim=1)


def q5_k(blocks: torch.Tensor, importance: torch.Tensor | None = None) -> torch.Tensor:
    """Encode (blocks, 256) float32 values in 5 bits, groups of 32 with scale and minimum: (blocks, 176) bytes."""
    head, levels = _affine(blocks, importance, 31, (-0.5, 0.1, 15))
    high = _bits_of_rows((levels > 15).reshape(-1, 8, 32))
    pairs = (levels & 15).reshape(-1, 4, 2, 32)
    return torch.cat([head, high, (pairs[:, :, 0] | pairs[:, :, 1] << 4).reshape(-1, 128)], dim=1)


def q6_k(blocks: torch.Tensor, importance: torch.Tensor | None = None) -> torch.Tensor:
    """Encode (blocks, 256) float32 values in 6 bits, groups of 16 with signed scales of 8 bits: (blocks, 210) bytes."""
    groups = _groups(blocks, 16)
    weights = groups * groups if importance is None else _groups(importance, 16)
    scales, found = symmetric_scale(groups, weights, 32)
    scales = scales.view(-1, 16)
    largest = _largest(scales)
    is_zero = largest.abs() < _TINY
    inverse = quotient(-128, largest)
    half = torch.where(is_zero, 0.0, 1 / inverse).half()
    codes = torch.where(is_zero, 0.0, (scales * inverse).round().clamp(max=127))
    step = half.float() * codes
    levels = _levels(blocks.view(-1, 16, 16) / step[:, :, None], 32, step, found)
    levels = torch.where(is_zero[:, :, None], 0, levels)
    quarters = levels.reshape(-1, 2, 4, 32)
    low, high = quarters & 15, quarters >> 4
    packed = torch.stack([low[:, :, 0] | low[:, :, 2] << 4, low[:, :, 1] | low[:, :, 3] << 4], dim=2)
    highs = high[:, :, 0] | high[:, :, 1] << 2 | high[:, :, 2] << 4 | high[:, :, 3] << 6
    signed = codes.to(torch.int8).view(torch.uint8)
    return torch.cat([packed.reshape(-1, 128), highs.reshape(-1, 64), signed, _bytes(half)], dim=1)


def _affine(
    blocks: torch.Tensor, importance: torch.Tensor | None, top: int, search: tuple[float, float, int]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the head of a Q4_K or Q5_K block (two half floats, 12 bytes of scales and minima) and its levels."""
    groups = _groups(blocks, 32)
    if importance is None:
        weights = _root(_mean_square(groups)) + groups.abs()
        scales, minima, found = affine_scale(groups, weights, top, _steps(*search))
        scale, scale_codes = _six_bit_codes(scales.view(-1, 8))
        minimum, minimum_codes = _six_bit_codes(minima.view(-1, 8))
    else:
        weights = _importance_weights(blocks, importance, 32)
        scales, minima, found = affine_scale(groups, weights, top, _steps(-0.9, 0.05, 36))
        sums = total(weights.clone()).view(-1, 8).T.contiguous()
        scale, scale_codes = _searched_codes(scales.view(-1, 8).T.contiguous(), sums)
        minimum, minimum_codes = _searched_codes(minima.view(-1, 8).T.contiguous(), sums)
    half, half_minimum = scale.half(), minimum.half()
    step = half.float() * scale_codes
    offset = half_minimum.float() * minimum_codes
    levels = ((blocks.view(-1, 8, 32) + offset[:, :, None]) / step[:, :, None]).round_().clamp_(0, top)
    levels = torch.where((step == 0)[:, :, None], _by_block(found, 8), levels).to(torch.uint8)
    codes = _six_bits_8(scale_codes.to(torch.uint8), minimum_codes.to(torch.uint8))
    return torch.cat([_bytes(half), _bytes(half_minimum), codes], dim=1), levels


def _six_bit_codes(values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Divide (blocks, groups) values of 0 or more into 63 steps of the largest; return the step and the codes."""
    largest = values.amax(1, keepdim=True)
    largest = torch.where(largest > 0, largest, 0.0)  # never the negative zero
    inverse = torch.where(largest > 0, quotient(63, largest), 0.0)
    # A scale below zero wraps round in the reference's byte and becomes the largest one.
    codes = ((values * inverse).round().to(torch.int32) & 255).clamp(max=63).float()
    return largest / 63, codes


def _searched_codes(values: torch.Tensor, weights: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    step, codes = positive_scale(values, weights, 63)
    return step[:, None], (codes.T.to(torch.int32) & 255).clamp(max=63).float()


def _importance_weights(blocks: torch.Tensor, importance: torch.Tensor, size: int) -> torch.Tensor:
    """Weigh a column's importance by the value itself and twice the mean square of its super-block."""
    spread = 2 * _mean_square(blocks.T.contiguous())
    return _groups(importance * _root(spread[:, None] + blocks * blocks), size)


def _mean_square(columns: torch.Tensor) -> torch.Tensor:
    return total(columns * columns) / len(columns)


def _root(values: torch.Tensor) -> torch.Tensor:
    """Take square roots, rounded rightly: on CPUs torch's own of 32 bits is off by a bit in every fifth value."""
    return values.double().sqrt().float()


def _groups(blocks: torch.Tensor, size: int) -> torch.Tensor:
    """Turn (blocks, 256) into columns of `size`: (size, groups)."""
    return blocks.reshape(-1, size).T.contiguous()


def _steps(first: float, delta: float, count: int) -> list[float]:
    single = torch.tensor([delta], dtype=torch.float32) * torch.arange(count + 1)
    return (torch.tensor(first, dtype=torch.float32) + single).tolist()


def _largest(scales: torch.Tensor) -> torch.Tensor:
    """Return the scale of the largest magnitude of each row, with its sign, (rows, 1)."""
    return scales.gather(1, scales.abs().argmax(1, keepdim=True))


def _levels(scaled: torch.Tensor, half: int, step: torch.Tensor, found: torch.Tensor) -> torch.Tensor:
    """Round (blocks, groups, size) to signed levels, counted from 0; where a group's step is 0, those of the search."""
    rounded = scaled.round_().clamp_(-half, half - 1).add_(half)
    return torch.where((step == 0)[:, :, None], _by_block(found, step.shape[1]), rounded).to(torch.uint8)


def _by_block(columns: torch.Tensor, groups: int) -> torch.Tensor:
    """Turn (size, blocks * groups) into (blocks, groups, size)."""
    return columns.T.reshape(-1, groups, len(columns))


def _bits_of_rows(rows: torch.Tensor) -> torch.Tensor:
    """Pack (blocks, 8, 32) truth values into 32 bytes, row r into bit r."""
    places = torch.arange(8, dtype=torch.uint8, device=rows.device)[None, :, None]
    return (rows.to(torch.uint8) << places).sum(1, dtype=torch.uint8)


def _six_bits_8(scales: torch.Tensor, minima: torch.Tensor) -> torch.Tensor:
    """Pack eight scales and eight minima of 6 bits into 12 bytes; the last four lend their high bits to the first."""
    first = scales[:, :4] | (scales[:, 4:] >> 4) << 6
    second = minima[:, :4] | (minima[:, 4:] >> 4) << 6
    return torch.cat([first, second, (scales[:, 4:] & 15) | (minima[:, 4:] & 15) << 4], dim=1)


def _six_bits_16(codes: torch.Tensor) -> torch.Tensor:
    """Pack sixteen codes of 6 bits into 12 bytes: 4 low bits of two in a byte, then 2 high bits of four."""
    low = (codes[:, :8] & 15) | (codes[:, 8:] & 15) << 4
    high = (codes >> 4).view(-1, 4, 4)
    return torch.cat([low, high[:, 0] | high[:, 1] << 2 | high[:, 2] << 4 | high[:, 3] << 6], dim=1)


def _bytes(half: torch.Tensor) -> torch.Tensor:
    return half.contiguous().view(torch.uint8)
