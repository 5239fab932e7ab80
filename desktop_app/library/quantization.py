"""Recognise how a model was quantized, and how many parameters its packed tensors stand for.

Knows the naming of bitsandbytes, GPTQ, AWQ, compressed-tensors and MXFP4; loads none of them.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from desktop_app.errors import ModelError
from desktop_app.extras import missing_extra

from .json_file import shown
from .safetensors_header import Tensor

# The methods whose models can be loaded with the pinned packages; '' is a model that is not quantized.
_LOADABLE_METHODS = frozenset({"", "bitsandbytes", "torchao"})
# What quantizers put beside a weight: scales, offsets, maps. No parameters of the model.
_BESIDE_WEIGHTS = (
    ".absmax",
    ".quant_map",
    ".nested_absmax",
    ".nested_quant_map",
    ".SCB",
    ".weight_format",
    ".qzeros",
    ".scales",
    ".g_idx",
    ".weight_scale",
    ".weight_scale_inv",
    ".weight_zero_point",
    ".weight_shape",
    ".weight_g_idx",
    ".input_scale",
    "_scales",
    "._weight_scale",
    "._weight_zero_point",
)
_DTYPES = {
    "BF16": "bfloat16",
    "F16": "float16",
    "F32": "float32",
    "F64": "float64",
    "F8_E4M3": "float8_e4m3fn",
    "F8_E5M2": "float8_e5m2",
    "I8": "int8",
    "U8": "uint8",
    "I32": "int32",
}


def quantization_method(config: Mapping[str, Any]) -> str:
    """Return the method's own name in a `quantization_config`: bitsandbytes, gptq, awq, …; '' if there is none.

    Raises:
        ModelError: the section is there but names no method.
    """
    if not config:
        return ""
    method = config.get("quant_method")
    if method is None and (config.get("load_in_4bit") or config.get("load_in_8bit")):
        method = "bitsandbytes"
    if not isinstance(method, str) or not method:
        raise ModelError(
            f"config.json: quantization_config names no method (quant_method is {shown(method)}).",
            "Get config.json again from where the model came from.",
        )
    return method.lower()[:40]


def loading_refusal(config: Mapping[str, Any]) -> tuple[str, str]:
    """Say why a model with this `quantization_config` cannot be loaded here and what to do; both '' if it can.

    Raises:
        ModelError: as `quantization_method`.
    """
    method = quantization_method(config)
    name = quantization_name(config)
    if method in ("gptq", "awq"):
        missing = missing_extra("gptq")
        if not missing:
            return "", ""
        return f"The model is quantized by {name}, which {missing}.", "Or choose the original model."
    if method in _LOADABLE_METHODS:
        return "", ""
    return (
        f"The model is quantized by {name}, which cannot be loaded here.",
        "Choose the original model, or one quantized by bitsandbytes (NF4, LLM.int8).",
    )


def quantization_name(config: Mapping[str, Any]) -> str:
    """Name the quantization for people: 'NF4 + double quantization', 'LLM.int8', 'GPTQ 4 bit'; '' if there is none."""
    method = quantization_method(config)
    if method == "bitsandbytes":
        if config.get("load_in_8bit") or config.get("_load_in_8bit"):
            return "LLM.int8"
        kind = str(config.get("bnb_4bit_quant_type") or "fp4").upper()[:10]
        return f"{kind} + double quantization" if config.get("bnb_4bit_use_double_quant") is True else kind
    if method == "torchao":
        return _torchao_name(config)
    bits = config.get("bits", config.get("w_bit"))
    known = isinstance(bits, int) and 0 < bits <= 64
    name = method.upper() if method in {"gptq", "awq", "hqq", "aqlm", "fp8", "mxfp4"} else method
    return f"{name} {bits} bit" if known and method else name


def _torchao_name(config: Mapping[str, Any]) -> str:
    """Take the class of torchao's own description as the name: 'torchao Int8WeightOnly'."""
    kind: Any = config.get("quant_type")
    for key in ("default", "_type"):
        kind = kind.get(key, "") if isinstance(kind, dict) else kind
    return f"torchao {str(kind or '')[:60].removesuffix('Config')}".strip()


def parameter_count(tensors: Mapping[str, Tensor], config: Mapping[str, Any], tied_embeddings: bool) -> int:
    """Count the parameters that the tensors of a model stand for, packed ones unpacked.

    A tied output layer that is stored a second time counts once.
    """
    packing = _Packing(tensors, config)
    total = sum(packing.parameters(name, tensor) for name, tensor in tensors.items())
    if tied_embeddings and "lm_head.weight" in tensors and any(_is_embedding(name) for name in tensors):
        total -= packing.parameters("lm_head.weight", tensors["lm_head.weight"])
    return total


def stored_dtype(tensors: Mapping[str, Tensor], config: Mapping[str, Any]) -> str:
    """Name the number format of the weights that are not packed, by torch's names; two if both are common."""
    packing = _Packing(tensors, config)
    counts: Counter[str] = Counter()
    for name, tensor in tensors.items():
        if not packing.is_beside(name) and not packing.is_packed(name, tensor):
            counts[_DTYPES.get(tensor.dtype, tensor.dtype.lower())] += tensor.elements
    total = sum(counts.values())
    common = [name for name, count in counts.most_common(2) if count * 20 > total]
    return " + ".join(common)


class _Packing:
    """Which tensors hold several parameters in one element, and how many."""

    def __init__(self, tensors: Mapping[str, Tensor], config: Mapping[str, Any]) -> None:
        self.method = quantization_method(config)
        bits = config.get("bits", config.get("w_bit", 4))
        self.bits = bits if isinstance(bits, int) and 0 < bits <= 32 else 4
        marks = (".quant_state.bitsandbytes__nf4", ".quant_state.bitsandbytes__fp4")
        self.four_bit = {
            name.removesuffix(mark) for name in tensors for mark in marks if self.method and name.endswith(mark)
        }

    def is_beside(self, name: str) -> bool:
        return bool(self.method) and (name.endswith(_BESIDE_WEIGHTS) or ".quant_state." in name)

    def is_packed(self, name: str, tensor: Tensor) -> bool:
        if not self.method:
            return False
        packed_name = name.endswith((".qweight", ".weight_packed", "_blocks"))
        return name in self.four_bit or packed_name or (self.method == "bitsandbytes" and tensor.dtype == "I8")

    def parameters(self, name: str, tensor: Tensor) -> int:
        if self.is_beside(name):
            return 0
        if name in self.four_bit or (self.method and name.endswith("_blocks")):
            return tensor.elements * 2
        if self.method and name.endswith((".qweight", ".weight_packed")):
            return tensor.size_bytes * 8 // self.bits
        return tensor.elements


def _is_embedding(name: str) -> bool:
    return name.endswith(("embed_tokens.weight", "wte.weight", "word_embeddings.weight", "embed_in.weight"))
