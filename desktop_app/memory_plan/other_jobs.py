"""The terms of jobs that do not train: quantize, evaluate, export, convert, and those that only copy."""

from desktop_app.domain.convert_spec import ConvertSpec
from desktop_app.domain.evaluate_spec import EvaluateSpec
from desktop_app.domain.export_spec import ExportSpec
from desktop_app.domain.model_facts import ModelFacts
from desktop_app.domain.quantize_method import METHODS
from desktop_app.domain.quantize_spec import QuantizeSpec
from desktop_app.domain.spec import AnySpec

from .awq import awq_terms
from .gptq import gptq_terms, packed_in_ram
from .terms import UNCHECKED, Term
from .weights import Weights

_STREAMING_BYTES = 60_000_000
_OPENING_BYTES = 300_000_000
_OPENING_GPU_BYTES = 600_000_000  # a second CUDA context
_COPYING_BYTES = 20_000_000
_SMOKE_TEST_TOKENS = 64
_STREAMED = "Measured with models of 0.25 to 2 GB."
_COPIED = "Measured with 40 to 220 MB."
_ONNX_BYTES_PER_WEIGHT = 17
# Tables of (tokens, words) that are held at once: logits, their logarithms and what is kept of them; to compare two
# models also the original's, their difference, and its share in the divergence.
_ALONE, _COMPARED = 3, 6
_COUNTED = "Counted in the code, checked against the worker's peak on the processor (docs/log.md)."
_ONNX_SOURCE = "Measured with 126 and 235 million parameters; larger ones extrapolated."


def other_terms(spec: AnySpec, facts: ModelFacts, weights: Weights) -> list[Term]:
    """Return the parts of a job that does not train."""
    match spec:
        case QuantizeSpec():
            return _quantize(spec, facts, weights)
        case EvaluateSpec():
            return _evaluate(spec, weights)
        case ExportSpec():
            return _export(spec, weights)
        case ConvertSpec():
            words = "a tensor at a time from the mapped file; files from before torch 1.6 are read whole"
            return [Term(name="Conversion", bytes=_COPYING_BYTES, formula=words, source=_COPIED)]
        case _:
            words = "a piece at a time, about 20 MB"
            return [Term(name="Copying", bytes=_COPYING_BYTES, formula=words, source=_COPIED)]


def terms_in_ram(spec: AnySpec, facts: ModelFacts, weights: Weights) -> list[Term]:
    """Return what a job that computes on the GPU needs of the other memory beside its program."""
    if not isinstance(spec, QuantizeSpec):
        return []
    found: list[list[Term]] = [[]]
    if "onnx_int8" in spec.methods:
        found.append(_onnx(weights))
    if "gptq" in spec.methods:
        found.append(packed_in_ram(spec, "gptq", facts))
    if "awq" in spec.methods:
        found.append(packed_in_ram(spec, "awq", facts))
    return max(found, key=_size)


def _export(spec: ExportSpec, weights: Weights) -> list[Term]:
    """The original is loaded to compare with what the result says."""
    words = weights.shape.vocab_size
    pieces = Term(name="Conversion", bytes=_STREAMING_BYTES, formula="a few rows at a time", source=_STREAMED)
    logits = Term(
        name="Logits",
        bytes=2 * _SMOKE_TEST_TOKENS * words * 4,
        formula=f"2 × {_SMOKE_TEST_TOKENS} tokens × {words:,} words × 4 bytes",
    )
    terms = [*weights.plain(), pieces, logits]
    return [*terms, _opening(weights), _read_back(weights)] if spec.form == "gguf" else terms


def _read_back(weights: Weights) -> Term:
    """What transformers holds beside the model while it reads a GGUF file: a tensor unpacked, and on its way."""
    formula = f"3 × the largest tensor, {weights.largest:,} weights × 4 bytes"
    return Term(name="Reading back", bytes=3 * weights.largest * 4, formula=formula, source=_COUNTED)


def _opening(weights: Weights) -> Term:
    """The process that opens a finished copy takes at least this, and no more where there is no more."""
    process = _OPENING_GPU_BYTES if weights.is_gpu else _OPENING_BYTES
    return Term(
        name="Check",
        bytes=process + weights.layer * weights.width,
        formula=f"a second process, about {process / 1e9:.1f} GB, with one layer at a time, {weights.layer:,} weights "
        f"× {weights.width} bytes; with the whole copy where that much is free",
        source=UNCHECKED if weights.is_gpu else _STREAMED,
    )


def _quantize(spec: QuantizeSpec, facts: ModelFacts, weights: Weights) -> list[Term]:
    """One family is made after the other: the one that needs most counts."""
    streamed = [method for method in spec.methods if METHODS[method].streams]
    found = [_streamed(spec, weights, len(streamed))] if streamed else []
    if "gptq" in spec.methods:
        found.append(gptq_terms(spec, facts, weights.is_gpu))
    if "awq" in spec.methods:
        found.append(awq_terms(spec, facts, weights.is_gpu))
    if "onnx_int8" in spec.methods and not weights.is_gpu:
        found.append(_onnx(weights))
    return max(found, key=_size)


def _size(terms: list[Term]) -> int:
    return sum(term.bytes for term in terms)


def _onnx(weights: Weights) -> list[Term]:
    size, total = _ONNX_BYTES_PER_WEIGHT * weights.total, weights.total
    formula = f"{total:,} weights × {_ONNX_BYTES_PER_WEIGHT} bytes: the model, its graph, and that once more"
    return [Term(name="Conversion", bytes=size, formula=formula, source=_ONNX_SOURCE)]


def _streamed(spec: QuantizeSpec, weights: Weights, copies: int) -> list[Term]:
    """What is written a few rows at a time needs the same whatever the model's size."""
    shape = weights.shape
    terms = [
        Term(
            name="Conversion",
            bytes=_STREAMING_BYTES * copies,
            formula="a few rows at a time, about 60 MB for each copy",
            source=_STREAMED,
        ),
        _opening(weights),
    ]
    if spec.importance_matrix:
        layer = weights.layer
        tokens = 8 * 512
        values = tokens * (4 * shape.intermediate_size + 6 * shape.hidden_size)
        terms.append(
            Term(
                name="Importance",
                bytes=4 * (layer + values),
                formula=f"a layer of {layer:,} weights and the values of {tokens:,} tokens in it × 4 bytes",
            )
        )
    return terms


def _evaluate(spec: EvaluateSpec, weights: Weights) -> list[Term]:
    shape, width = weights.shape, weights.width
    tokens = spec.max_length + spec.max_new_tokens
    cache = 2 * shape.layers * shape.kv_heads * shape.head_dim
    held = _COMPARED if spec.variants else _ALONE
    return [
        *weights.plain(),
        Term(
            name="Logits",
            bytes=held * spec.max_length * shape.vocab_size * 4,
            formula=f"{held} × {spec.max_length:,} tokens × {shape.vocab_size:,} words × 4 bytes",
            source=UNCHECKED if weights.is_gpu else _COUNTED,
        ),
        Term(
            name="Cache",
            bytes=tokens * cache * width,
            formula=f"{tokens:,} tokens × {cache:,} keys and values × {width} bytes",
        ),
    ]
