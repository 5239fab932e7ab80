"""Read back what GPTQ's packed layers hold: words of 32 bits along the inputs, scales and zeros for each group."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from .quantized_check import ReadSpan, spoiled
from .tensor_source import TensorSource

_WORD = 32
# Several times what normally distributed weights give in groups of 128: 0.25, 0.11 and 0.006.
_BOUNDS = {3: 0.8, 4: 0.45, 8: 0.1}


@dataclass(frozen=True, slots=True, kw_only=True)
class GptqFormat:
    """`zero_offset`: what is added to a stored zero; files of the first version of the format hold one less."""

    bits: int
    zero_offset: int

    @property
    def words(self) -> str:
        """What a layer holds."""
        return f"{self.bits}-bit values (GPTQ)"

    @property
    def error_bound(self) -> float:
        """GPTQ's weights lie farther from the original's than rounded ones; what is computed with them lies nearer."""
        return _BOUNDS[self.bits]

    def opened(self, layer: str, shape: tuple[int, ...], written: TensorSource) -> ReadSpan:
        """Unpack the layer, a byte for each weight."""
        outputs, inputs = shape
        parts = {name: self._part(layer, name, written) for name in ("qweight", "qzeros", "scales", "g_idx")}
        groups, scales = parts["g_idx"].long(), parts["scales"].float()  # (inputs,), (groups, outputs)
        if (parts["qweight"].shape[1], len(groups)) != shape or len(parts["qweight"]) * _WORD != inputs * self.bits:
            raise spoiled(f"{layer} holds {tuple(parts['qweight'].shape)} words of {self.bits}-bit values, not {shape}")
        if not 0 <= int(groups.min()) <= int(groups.max()) < len(scales):
            raise spoiled(f"{layer} names a group that it has no scale for")
        values = unpacked(parts["qweight"].view(-1, self.bits, outputs), self.bits).view(inputs, outputs)
        zeros = unpacked(parts["qzeros"].view(-1, self.bits, 1), self.bits).view(scales.shape)
        offsets = zeros.float() + self.zero_offset
        if not bool((offsets == 1 << (self.bits - 1)).all()):  # we ask for symmetric values alone
            raise spoiled(f"{layer} holds other zeros than its format says")

        def read(start: int, count: int) -> torch.Tensor:
            rows = slice(start // inputs, (start + count) // inputs)
            return ((values[:, rows].float() - offsets[groups, rows]) * scales[groups, rows]).T

        return read

    def _part(self, layer: str, name: str, written: TensorSource) -> torch.Tensor:
        whole = f"{layer}.{name}"
        if whole not in written:
            raise spoiled(f"{whole} is missing")
        return written.read(whole).view(written.shape(whole))


def gptq_format(folder: Path, bits: int) -> GptqFormat:
    """Describe the format that a folder's config.json says."""
    said: dict[str, Any] = json.loads((folder / "config.json").read_text(encoding="utf-8"))["quantization_config"]
    if said.get("bits") != bits:
        raise spoiled(f"config.json says {said.get('bits')} bits, not {bits}")
    names = {said.get("format", "gptq"), said.get("checkpoint_format", said.get("format", "gptq"))}
    if len(names) > 1 or not names <= {"gptq", "gptq_v2"}:
        raise spoiled(f"config.json says the format is {' and '.join(sorted(map(str, names)))}")
    return GptqFormat(bits=bits, zero_offset=0 if names == {"gptq_v2"} else 1)


def unpacked(words: torch.Tensor, bits: int) -> torch.Tensor:
    """Take 32 values of so many bits, lowest first, out of as many words of 32: (n, bits, m) -> (n, 32, m) uint8."""
    wide = words.long() & 0xFFFFFFFF
    values = torch.empty((wide.shape[0], _WORD, wide.shape[2]), dtype=torch.uint8)
    for place in range(_WORD):
        word, shift = divmod(place * bits, _WORD)
        found = wide[:, word] >> shift
        if shift + bits > _WORD:
            found = found | (wide[:, word + 1] << (_WORD - shift))
        values[:, place] = (found & ((1 << bits) - 1)).to(torch.uint8)
    return values
