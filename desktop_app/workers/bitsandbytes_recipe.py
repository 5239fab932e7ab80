"""How bitsandbytes writes one tensor: NF4 and FP4 in blocks, LLM.int8 by rows, the rest in 16 bits.

Bit for bit what `from_pretrained` and `save_pretrained` of the pinned libraries write. Statistics of double
quantization are over all scales of a tensor, so they wait for its last piece.
"""

from dataclasses import dataclass

import torch
from bitsandbytes import functional as bitsandbytes_functional
from bitsandbytes.backends.default.ops import _get_4bit_quantize_bounds

from .tensor_sink import PlannedTensor

_SCALES_BLOCK = 256  # bitsandbytes' own, for the scales of scales
_AT_ONCE = 131_072  # values; what is computed with them fits the cache of a core


@dataclass(frozen=True, slots=True, kw_only=True)
class FourBit:
    """A matrix in NF4 or FP4. `shape`: (out_features, in_features); `dtype`: what it is rounded to before."""

    name: str
    shape: tuple[int, ...]
    dtype: torch.dtype
    device: torch.device
    kind: str
    block_size: int
    is_double: bool
    is_turned: bool = False
    whole_rows: bool = False

    @property
    def multiple(self) -> int:
        """Pieces are whole blocks."""
        return self.block_size

    @property
    def planned(self) -> tuple[PlannedTensor, ...]:
        """The packed weights first, then what bitsandbytes puts beside them."""
        elements = torch.Size(self.shape).numel()
        blocks = -(-elements // self.block_size)
        tensors = [
            PlannedTensor(name=self.name, dtype=torch.uint8, shape=(-(-elements // 2), 1)),
            self._beside("absmax", torch.uint8 if self.is_double else torch.float32, blocks),
            self._beside("quant_map", torch.float32, 16),
        ]
        if self.is_double:
            tensors.append(self._beside("nested_absmax", torch.float32, -(-blocks // _SCALES_BLOCK)))
            tensors.append(self._beside("nested_quant_map", torch.float32, 256))
        state = f"{self.name}.quant_state.bitsandbytes__{self.kind}"
        return (*tensors, PlannedTensor(name=state, dtype=torch.uint8, shape=(0,), is_late=True))

    def convert(self, piece: torch.Tensor) -> tuple[torch.Tensor, tuple[torch.Tensor, ...]]:
        """Pack a piece; its scales are kept."""
        flat = piece.to(self.device).to(self.dtype).reshape(-1)
        if self.kind == "nf4" and flat.device.type == "cpu" and flat.numel() % self.block_size == 0:
            packed, scales = _quick_nf4(flat, self.block_size)
            return packed, (scales,)
        packed, state = bitsandbytes_functional.quantize_4bit(
            flat, blocksize=self.block_size, quant_type=self.kind, compress_statistics=False
        )
        return packed.cpu(), (state.absmax,)

    def rest(self, kept: list[tuple[torch.Tensor, ...]]) -> dict[str, torch.Tensor]:
        """Write the scales, quantized once more if asked for."""
        absmax = torch.cat([scales for (scales,) in kept])
        offset = state2 = None
        if self.is_double:
            offset = absmax.mean()
            absmax, state2 = bitsandbytes_functional.quantize_blockwise(absmax - offset, blocksize=_SCALES_BLOCK)
        state = bitsandbytes_functional.QuantState(
            absmax=absmax,
            shape=torch.Size(self.shape),
            dtype=self.dtype,
            blocksize=self.block_size,
            code=bitsandbytes_functional.get_4bit_type(self.kind, device=self.device),
            quant_type=self.kind,
            offset=offset,
            state2=state2,
        )
        return {f"{self.name}.{name}": tensor.cpu() for name, tensor in state.as_dict(packed=True).items()}

    def _beside(self, what: str, dtype: torch.dtype, elements: int) -> PlannedTensor:
        return PlannedTensor(name=f"{self.name}.{what}", dtype=dtype, shape=(elements,))


def _quick_nf4(flat: torch.Tensor, block_size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Quantize whole blocks as bitsandbytes' `quantize_4bit` does on a processor, in a third of its time.

    The place of a value among the 15 bounds is counted by comparing it with each, which processors do many at a time;
    bitsandbytes searches it by halves. The bits are the same: tests/workers/test_streamed_bits.py.
    """
    packed = torch.empty((flat.numel() // 2, 1), dtype=torch.uint8)
    scales = torch.empty(flat.numel() // block_size)
    bounds = _get_4bit_quantize_bounds("nf4", flat.device)[0].tolist()
    most = min(_AT_ONCE, flat.numel())
    is_above, places = torch.empty(most, dtype=torch.bool), torch.empty(most, dtype=torch.uint8)
    for start in range(0, flat.numel(), _AT_ONCE):
        values = flat[start : start + _AT_ONCE].to(torch.float32, copy=True).view(-1, block_size)
        count = values.numel()
        largest = values.abs().amax(-1)
        values.mul_((1.0 / largest.clamp(min=1e-38)).view(-1, 1))
        above, place = is_above[:count], places[:count].zero_()
        for bound in bounds:
            torch.gt(values.view(-1), bound, out=above)
            place.add_(above.view(torch.uint8))
        packed[start // 2 : (start + count) // 2, 0] = (place[::2] << 4) | place[1::2]
        scales[start // block_size : (start + count) // block_size] = largest
    return packed, scales


def _quick_int8(rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Quantize rows as bitsandbytes' `int8_vectorwise_quant` does on a processor, in place, in a third of its time.

    The bits are the same: tests/workers/test_streamed_bits.py.
    """
    largest = torch.maximum(rows.amax(1), -rows.amin(1))
    return rows.mul_((127.0 / largest).view(-1, 1)).round_().to(torch.int8), largest


@dataclass(frozen=True, slots=True, kw_only=True)
class Int8:
    """A matrix in LLM.int8: the largest value of each row becomes 127."""

    name: str
    shape: tuple[int, ...]
    dtype: torch.dtype
    device: torch.device
    is_turned: bool = False
    whole_rows: bool = True
    multiple: int = 1

    @property
    def planned(self) -> tuple[PlannedTensor, ...]:
        """The weights first, then the largest value of each row, and a mark of their order."""
        layer = self.name.removesuffix(".weight")
        return (
            PlannedTensor(name=self.name, dtype=torch.int8, shape=self.shape),
            PlannedTensor(name=f"{layer}.SCB", dtype=torch.float32, shape=self.shape[:1]),
            PlannedTensor(name=f"{layer}.weight_format", dtype=torch.uint8, shape=()),
        )

    def convert(self, piece: torch.Tensor) -> tuple[torch.Tensor, tuple[torch.Tensor, ...]]:
        """Quantize whole rows, through fp16 as bitsandbytes does."""
        rows = piece.to(self.dtype).to(self.device).contiguous().to(torch.float16)
        if rows.device.type == "cpu":
            values, largest = _quick_int8(rows.float())
            return values, (largest,)
        values, largest, _ = bitsandbytes_functional.int8_vectorwise_quant(rows)
        return values.cpu(), (largest,)

    def rest(self, kept: list[tuple[torch.Tensor, ...]]) -> dict[str, torch.Tensor]:
        """Write the largest values; weight format 0 is row by row."""
        layer = self.name.removesuffix(".weight")
        return {
            f"{layer}.SCB": torch.cat([largest for (largest,) in kept]).cpu(),
            f"{layer}.weight_format": torch.tensor(0, dtype=torch.uint8),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Plain:
    """A tensor that is not quantized: byte by byte, or rounded where the source is in another number format."""

    name: str
    shape: tuple[int, ...]
    dtype: torch.dtype
    is_turned: bool = False
    whole_rows: bool = False
    multiple: int = 1

    @property
    def planned(self) -> tuple[PlannedTensor, ...]:
        """The tensor itself."""
        return (PlannedTensor(name=self.name, dtype=self.dtype, shape=self.shape),)

    def convert(self, piece: torch.Tensor) -> tuple[torch.Tensor, tuple[torch.Tensor, ...]]:
        """Round it if the format differs."""
        return piece.to(self.dtype), ()

    def rest(self, kept: list[tuple[torch.Tensor, ...]]) -> dict[str, torch.Tensor]:
        """Nothing stands beside it."""
        return {}
