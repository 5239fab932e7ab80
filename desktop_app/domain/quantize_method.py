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

    `packages`: what must be installed beside PyTorch. `extra`: by which name `build/dev.py extra` installs them, '' if
    they are always there. `uses_gpu`: if there is one and it is wanted. `streams`: memory does not grow with the model.
    """

    title: str
    sentence: str
    family: Family
    bits: float
    embedding_bits: float = 16
    packages: tuple[str, ...] = ()
    extra: str = ""
    needs_gpu: bool = False
    uses_gpu: bool = True
    streams: bool = True


def _gguf(title: str, bits: float, sentence: str, embedding_bits: float = 0) -> Method:
    """Describe a kind of GGUF file; its embeddings take the same bits unless said."""
    return Method(
        title=f"GGUF {title}",
        sentence=sentence,
        family="gguf",
        bits=bits,
        embedding_bits=embedding_bits or bits,
        packages=("gguf",),
    )


# Bits with scales, of a Llama-like model: mixes give some matrices more. Six bits for the output layer (or the
# embeddings that stand for it), as llama.cpp gives it.
_Q6 = 6.5625
_GGUF: Mapping[QuantizeMethod, Method] = {
    "gguf_f32": _gguf("F32", 32, "All numbers in 32 bits, for other tools to work on."),
    "gguf_f16": _gguf("F16", 16, "16 bits; the largest weights of some models do not fit into them."),
    "gguf_bf16": _gguf("BF16", 16, "16 bits, as most models are published: nothing is lost."),
    "gguf_q8_0": _gguf("Q8_0", 8.5, "8 bits in blocks of 32: hardly to be told from the original."),
    "gguf_q6_k": _gguf("Q6_K", _Q6, "6 bits: close to the original, a good deal smaller than Q8_0."),
    "gguf_q5_k_m": _gguf("Q5_K_M", 5.7, "5 bits, 6 where the model is sensitive.", _Q6),
    "gguf_q5_k_s": _gguf("Q5_K_S", 5.5, "5 bits.", _Q6),
    "gguf_q4_k_m": _gguf("Q4_K_M", 4.9, "4 bits, 6 where the model is sensitive: what most people run.", _Q6),
    "gguf_q4_k_s": _gguf("Q4_K_S", 4.6, "4 bits, a little smaller and less exact.", _Q6),
    "gguf_q3_k_l": _gguf("Q3_K_L", 4.2, "3 bits, 5 where the model is sensitive.", _Q6),
    "gguf_q3_k_m": _gguf("Q3_K_M", 3.9, "3 bits, 4 and 5 where the model is sensitive; answers get worse.", _Q6),
    "gguf_q3_k_s": _gguf("Q3_K_S", 3.4375, "3 bits: the smallest; answers get clearly worse.", _Q6),
    "gguf_q5_1": _gguf("Q5_1", 6, "5 bits in blocks of 32, an older format.", _Q6),
    "gguf_q5_0": _gguf("Q5_0", 5.5, "5 bits in blocks of 32, an older format.", _Q6),
    "gguf_q4_1": _gguf("Q4_1", 5, "4 bits in blocks of 32, an older format.", _Q6),
    "gguf_q4_0": _gguf("Q4_0", 4.5, "4 bits in blocks of 32, an older format that old programs and phones run.", _Q6),
}
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
    "gptq": Method(
        title="GPTQ",
        sentence="4, 3 or 8 bits; what rounding spoils is made up for, by what a text activates: slow, and close.",
        family="gptq",
        bits=4,
        packages=("optimum", "gptqmodel"),
        extra="gptq",
        streams=False,
    ),
    "awq": Method(
        title="AWQ",
        sentence="4 bits; inputs that a text activates most are scaled up first: slow, for vLLM and other servers.",
        family="awq",
        bits=4,
        packages=("gptqmodel",),
        extra="gptq",
        streams=False,
    ),
    "onnx_int8": Method(
        title="ONNX int8",
        sentence="8 bits, activations too, in a graph for onnxruntime; made in memory, writes long texts slowly.",
        family="onnx",
        bits=8,
        packages=("onnx", "onnxruntime", "onnxscript"),
        uses_gpu=False,
        streams=False,
    ),
    **_GGUF,
}


def is_four_bit_block(method: str) -> bool:
    """Whether block size, compute format and double quantization concern this method."""
    return method in ("nf4", "fp4")


def reads_text(method: str) -> bool:
    """Whether a copy is made with a text that the model reads, ours if none is named."""
    return method in ("gptq", "awq")


def weighs_errors(method: str) -> bool:
    """Whether an importance matrix changes what this method writes: only the K-quants of GGUF heed one."""
    return method.startswith("gguf_") and "_k" in method


def family_of(method: QuantizeMethod) -> Family:
    """Which part of the program makes this method's files."""
    return METHODS[method].family
