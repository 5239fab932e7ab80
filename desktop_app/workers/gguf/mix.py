"""Which format each tensor of a file gets: llama.cpp's mixes, which spend more bits where a model is sensitive.

The rules are facts of llama.cpp (src/llama-quant.cpp, llama_tensor_get_type_impl), so that Q4_K_M here is the
Q4_K_M that people know. `layer` counts from 0 and `layers` is their number.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from gguf import MODEL_ARCH, LlamaFileType
from gguf import GGMLQuantizationType as Type

from desktop_app.domain.quantize_method import QuantizeMethod

from .block_format import FORMATS

_LAYER = re.compile(r"blk\.(\d+)\.")
_PLAIN = (Type.F32, Type.F16, Type.BF16)
# For rows that are no whole super-blocks.
_FALLBACKS = {Type.Q3_K: Type.Q4_0, Type.Q4_K: Type.Q5_0, Type.Q5_K: Type.Q5_1, Type.Q6_K: Type.Q8_0}
# By the part of a layer: given the layer and their number, another format, or None for the usual one.
Rule = Callable[[int, int], Type | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mix:
    """A file type with its usual format and its exceptions by the part of a layer: 'values', 'down', 'attention'."""

    file_type: LlamaFileType
    usual: Type
    rules: Mapping[str, Rule]

    def type_of(self, name: str, columns: int, layers: int, has_output: bool, arch: MODEL_ARCH, shares: int) -> Type:
        """Return the format of a matrix; `shares`: how many query heads share the keys and values of one."""
        if self.usual in _PLAIN:
            return self.usual
        chosen = self.usual
        if name == ("output.weight" if has_output else "token_embd.weight"):
            if columns % FORMATS[self.usual].block:
                chosen = Type.Q8_0
            elif self.usual != Type.Q8_0:
                chosen = Type.Q6_K
        elif layer := _LAYER.match(name):
            part = _part(name)
            rule = self.rules.get(part)
            chosen = (rule(int(layer[1]), layers) if rule else None) or self.usual
            is_70b = layers == 80 and (shares > 1 or arch == MODEL_ARCH.QWEN2)
            if part == "values" and is_70b and arch in (MODEL_ARCH.LLAMA, MODEL_ARCH.QWEN2):
                chosen = Type.Q5_K if chosen in (Type.Q3_K, Type.Q4_K) else chosen
        return fitting(chosen, columns)


def fitting(wanted: Type, columns: int) -> Type:
    """Return the wanted format, or the nearest one whose blocks divide a row of `columns`."""
    if columns % FORMATS[wanted].block:
        wanted = _FALLBACKS.get(wanted, wanted)
    return Type.F16 if columns % FORMATS[wanted].block else wanted


def _part(name: str) -> str:
    if "attn_v.weight" in name or "attn_qkv.weight" in name:
        return "values"
    if "ffn_down" in name:
        return "down"
    return "attention" if "attn_output.weight" in name else ""


def _always(kind: Type) -> Rule:
    return lambda layer, layers: kind


def _in_first(kind: Type, share: int, other: Type | None = None) -> Rule:
    """Give the first `1 / share` of the layers a format of their own."""
    return lambda layer, layers: kind if layer < layers // share else other


def _in_first_few(kind: Type, count: int, other: Type | None = None) -> Rule:
    return lambda layer, layers: kind if layer < count else other


def _where_it_counts(layer: int, layers: int) -> Type | None:
    """Six bits in the first and last eighth of the layers, and in every third between them."""
    eighth = layers // 8
    is_outer = layer < eighth or layer >= 7 * layers // 8
    return Type.Q6_K if is_outer or (layer - eighth) % 3 == 2 else None


_SIMPLE = {"f32": "ALL_F32", "f16": "MOSTLY_F16", "bf16": "MOSTLY_BF16"}


def _mix(name: str, usual: Type, **rules: Rule) -> Mix:
    return Mix(file_type=LlamaFileType[_SIMPLE.get(name, f"MOSTLY_{name.upper()}")], usual=usual, rules=rules)


MIXES: Mapping[QuantizeMethod, Mix] = {
    "gguf_f32": _mix("f32", Type.F32),
    "gguf_f16": _mix("f16", Type.F16),
    "gguf_bf16": _mix("bf16", Type.BF16),
    "gguf_q8_0": _mix("q8_0", Type.Q8_0),
    "gguf_q4_0": _mix("q4_0", Type.Q4_0),
    "gguf_q4_1": _mix("q4_1", Type.Q4_1),
    "gguf_q5_0": _mix("q5_0", Type.Q5_0),
    "gguf_q5_1": _mix("q5_1", Type.Q5_1),
    "gguf_q3_k_s": _mix("q3_k_s", Type.Q3_K),
    "gguf_q3_k_m": _mix(
        "q3_k_m",
        Type.Q3_K,
        values=_in_first_few(Type.Q5_K, 2, Type.Q4_K),
        down=_in_first(Type.Q5_K, 16, Type.Q4_K),
        attention=_always(Type.Q4_K),
    ),
    "gguf_q3_k_l": _mix(
        "q3_k_l",
        Type.Q3_K,
        values=_always(Type.Q5_K),
        down=_always(Type.Q5_K),
        attention=_always(Type.Q5_K),
    ),
    "gguf_q4_k_s": _mix("q4_k_s", Type.Q4_K, values=_in_first_few(Type.Q5_K, 4), down=_in_first(Type.Q5_K, 8)),
    "gguf_q4_k_m": _mix("q4_k_m", Type.Q4_K, values=_where_it_counts, down=_where_it_counts),
    "gguf_q5_k_s": _mix("q5_k_s", Type.Q5_K),
    "gguf_q5_k_m": _mix("q5_k_m", Type.Q5_K, values=_where_it_counts, down=_where_it_counts),
    "gguf_q6_k": _mix("q6_k", Type.Q6_K),
}
