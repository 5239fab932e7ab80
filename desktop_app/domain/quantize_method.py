"""Every method of quantization: what it is called, what it is for, how small it makes a model, what it needs.

Form, API, size preview, refusals and workers ask here. A method stands here once it works, never before.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

QuantizeMethod = Literal[
    "nf4",
    "fp4",
    "int8",
    "int8_weight_only",
    "int8_dynamic",
    "float8_weight_only",
    "gptq",
    "awq",
    "onnx_int8",
    "gguf_f32",
    "gguf_f16",
    "gguf_bf16",
    "gguf_q8_0",
    "gguf_q4_0",
    "gguf_q4_1",
    "gguf_q5_0",
    "gguf_q5_1",
    "gguf_q3_k_s",
    "gguf_q3_k_m",
    "gguf_q3_k_l",
    "gguf_q4_k_s",
    "gguf_q4_k_m",
    "gguf_q5_k_s",
    "gguf_q5_k_m",
    "gguf_q6_k",
]
Family = Literal["bitsandbytes", "torchao", "gptq", "awq", "onnx", "gguf"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """One method. `bits` of a weight in a quantized matrix, scales included; `embedding_bits` in the embeddings.

    `packages`: what must be installed beside PyTorch. `streams`: memory does not grow with the model.
    """

    title: str
    sentence: str
    family: Family
    bits: float
    embedding_bits: float = 16
    packages: tuple[str, ...] = ()
    needs_gpu: bool = False
    streams: bool = True


# NF4 and FP4: one scale of 32 bits for 64 weights, or of 8 bits with one of 32 bits for 256 scales.
METHODS: Mapping[QuantizeMethod, Method] = {
    "nf4": Method(
        title="NF4",
        sentence="4 bits, spaced for weights as models have them: the smallest, and quick on a GPU.",
        family="bitsandbytes",
        bits=4.5,
        packages=("bitsandbytes",),
    ),
    "fp4": Method(
        title="FP4",
        sentence="4 bits, spaced like small floating-point numbers: as small as NF4, about twice its error.",
        family="bitsandbytes",
        bits=4.5,
        packages=("bitsandbytes",),
    ),
    "int8": Method(
        title="LLM.int8",
        sentence="8 bits with a scale for each row: larger, closer to the original.",
        family="bitsandbytes",
        bits=8,
        packages=("bitsandbytes",),
    ),
    "int8_weight_only": Method(
        title="int8 weights",
        sentence="torchao: 8 bits with a scale for each row; computes in 16 bits.",
        family="torchao",
        bits=8,
        packages=("torchao",),
    ),
    "int8_dynamic": Method(
        title="int8 dynamic",
        sentence="torchao: 8 bits, and activations are rounded to 8 bits too while it computes.",
        family="torchao",
        bits=8,
        packages=("torchao",),
    ),
    "float8_weight_only": Method(
        title="float8 weights",
        sentence="torchao: 8-bit floating point with a scale for each row; computes in 16 bits.",
        family="torchao",
        bits=8,
        packages=("torchao",),
    ),
}


def is_four_bit_block(method: str) -> bool:
    """Whether block size, compute format and double quantization concern this method."""
    return method in ("nf4", "fp4")


def family_of(method: QuantizeMethod) -> Family:
    """Which part of the program makes this method's files."""
    return METHODS[method].family
