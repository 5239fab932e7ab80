"""What a fine-tuning holds at its fullest moment: weights, adapter, gradients, optimizer, activations and logits.

Two moments compete: the loss at the end of the forward pass, while all activations are held, and the way back
through a layer. The fuller one is shown; what is gone by then is not counted.
"""

import sys
from dataclasses import dataclass, replace

from desktop_app.domain.finetune_spec import FinetuneSpec
from desktop_app.domain.model_facts import ModelFacts
from desktop_app.domain.quantized_size import linear_layers
from desktop_app.hardware.c_compiler import can_build_for_python

from .activations import adapted_matrices, layer_bytes
from .processes import fullest, shared_out
from .terms import UNCHECKED, Term
from .weights import Weights

# Bytes that an optimizer keeps for each trained weight. bitsandbytes keeps tensors below 4,096 weights in 32 bits.
OPTIMIZER_BYTES = {
    "adamw": (8.0, "AdamW: two values of 4 bytes for each of"),
    "adamw_8bit": (2.0, "AdamW: two values of 1 byte for each of"),
    "paged_adamw": (8.0, "AdamW, paged: two values of 4 bytes for each of"),
    "paged_adamw_8bit": (2.0, "AdamW, paged: two values of 1 byte for each of"),
    "adafactor": (0.1, "Adafactor: a row and a column of sums instead of a value for each of"),
}
# Bytes per weight: 4 bits, with one scale for 64 weights, in 4 bytes or in 1 byte plus the scales' own scales.
_FOUR_BITS = 0.5 + 4 / 64
_FOUR_BITS_DOUBLE = 0.5 + 1 / 64 + 4 / (64 * 256)
_MEASURED = "Saved values counted by family; checked against the worker's peak on the processor (docs/log.md)."
_BY_MATRICES = "Counted by the results and inputs of the model's matrices; not checked with this family."
# trl's fused output layer: logits in tiles of so many tokens and words, seven and a quarter of them in fp32 on the way
# back (transformed, log-probabilities, probabilities, gradient, three results of one expression, a mask of a byte).
_TILE_TOKENS, _TILE_WORDS = 4096, 32_768
_TILES = 7.25
_TILE_SOURCE = "Counted in trl's fused output layer."
_FRAGMENTED = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class _Moment:
    activations: int
    logits: int

    @property
    def bytes(self) -> int:
        return self.activations + self.logits


def trained_parameters(spec: FinetuneSpec, facts: ModelFacts) -> int:
    """Count the weights that a fine-tuning trains; modules that are trained whole are counted by their names."""
    if not spec.is_adapter:
        return facts.parameters
    matrices = adapted_matrices(facts.shape, spec)
    adapter = sum(spec.rank * (each.out + each.into) * each.count for each in matrices)
    if spec.method == "dora":
        adapter += sum(each.out * each.count for each in matrices)
    table = facts.shape.vocab_size * facts.shape.hidden_size
    return adapter + table * len({"embed_tokens", "lm_head"} & set(spec.modules_to_save))


def training_terms(spec: FinetuneSpec, facts: ModelFacts, weights: Weights) -> list[Term]:
    """Return the parts of the fullest moment of a step; `weights` knows device and number format."""
    trained = trained_parameters(spec, facts)
    words = OPTIMIZER_BYTES[spec.optimizer][1]
    model = _held_weights(spec, weights, trained)
    remembered = optimizer_bytes(spec, trained)
    held = [
        *model,
        Term(name="Gradients", bytes=trained * 4, formula=f"{trained:,} weights × 4 bytes"),
        Term(name="Optimizer", bytes=remembered, formula=f"{words} {trained:,} weights"),
    ]
    parts = [*shared_out(spec, weights, held, trained), *_step(spec, facts, weights)]
    if weights.is_gpu:
        dynamic = sum(term.bytes for term in parts if term.name in ("Activations", "Logits", "Gradients"))
        parts.append(
            Term(
                name="Fragmentation",
                bytes=int(_FRAGMENTED * dynamic),
                formula=f"{_FRAGMENTED:.0%} of activations, logits and gradients, lost between blocks",
                source=UNCHECKED,
            )
        )
    return fullest(spec, model, parts, None if weights.is_gpu else remembered)


def optimizer_bytes(spec: FinetuneSpec, trained: int) -> int:
    """Return what the optimizer remembers of all `trained` weights."""
    return int(OPTIMIZER_BYTES[spec.optimizer][0] * trained)


def _held_weights(spec: FinetuneSpec, weights: Weights, trained: int) -> list[Term]:
    """The model and what is trained beside it: in fp32, so that small steps count."""
    if not spec.is_adapter:
        formula = f"{weights.total:,} weights × 4 bytes"
        whole = [Term(name="Weights", bytes=weights.total * 4, formula=formula)]
        if weights.width == 2:
            copies = f"{weights.total:,} weights × 2 bytes: what the step computes with in 16 bits"
            whole.append(Term(name="16-bit copies", bytes=weights.total * 2, formula=copies, source=UNCHECKED))
        if spec.needs_reference:
            whole.append(Term(name="Reference model", bytes=weights.total * 4, formula=formula))
        return whole
    base = weights.plain()
    if spec.method == "qlora" and not weights.is_quantized:
        scales = "absmax quantized too" if spec.double_quantization else "absmax in 4 bytes for 64 weights"
        per_weight = _FOUR_BITS_DOUBLE if spec.double_quantization else _FOUR_BITS
        base = weights.packed(per_weight, f"{spec.quant_type.upper()}, {scales}")
    elif spec.method == "lora_8bit" and not weights.is_quantized:
        base = weights.packed(1.0, "8 bits")
    formula = f"{trained:,} weights of rank {spec.rank} × 4 bytes"
    beside = [Term(name="Adapter", bytes=trained * 4, formula=formula)]
    if spec.needs_reference:
        beside += [replace(term, name="Reference model") for term in base]
    return [*base, *beside]


def _step(spec: FinetuneSpec, facts: ModelFacts, weights: Weights) -> list[Term]:
    """Activations and logits at the fuller of the two moments."""
    shape, width = facts.shape, weights.width
    tokens = row_count(spec) * spec.max_length
    layer = layer_bytes(spec, facts, width, weights.is_gpu)
    beside = 3 * shape.hidden_size * width
    unpacked = _unpacked_bytes(spec, facts, weights)
    if spec.activation_checkpointing:
        held = tokens * (shape.layers * layer.input + beside)
        back = held + tokens * (layer.saved + layer.backward) + unpacked
        formula = f"{tokens:,} tokens × ({shape.layers} layers × {layer.input:,} + one layer of {layer.saved:,}"
        formula += f" and {layer.backward:,} on the way back) bytes; {layer.words}"
    else:
        held = tokens * (shape.layers * layer.saved + beside)
        back = held + tokens * layer.backward + unpacked
        formula = f"{tokens:,} tokens × {shape.layers} layers × {layer.saved:,} bytes; {layer.words}"
    logits, logits_words = _logits(spec, facts, weights, tokens)
    moment = max(_Moment(activations=held, logits=logits), _Moment(activations=back, logits=0), key=lambda m: m.bytes)
    source = (UNCHECKED if weights.is_gpu else _MEASURED) if layer.is_known else _BY_MATRICES
    parts = [Term(name="Activations", bytes=moment.activations, formula=formula, source=source)]
    if moment.logits:
        parts.append(Term(name="Logits", bytes=moment.logits, formula=logits_words, source=_TILE_SOURCE))
    return parts


def row_count(spec: FinetuneSpec) -> int:
    """Rows of a batch as the model reads them."""
    return spec.batch_size * spec.answers_per_row


def _logits(spec: FinetuneSpec, facts: ModelFacts, weights: Weights, tokens: int) -> tuple[int, str]:
    """What the loss holds at its fullest: a tile of the logits several times, and its gradients."""
    shape = facts.shape
    rows, columns = min(tokens, _TILE_TOKENS), min(shape.vocab_size, _TILE_WORDS)
    # Triton comes with PyTorch on Linux alone, and is left out where it could build nothing.
    has_kernel = weights.is_gpu and sys.platform == "linux" and can_build_for_python()
    tile = rows * (_TILE_WORDS if has_kernel else columns)
    bytes_each = weights.width + (0 if has_kernel else 4 * _TILES)
    gradient = tokens * shape.hidden_size * 4
    words = f"{rows:,} tokens × {columns:,} words × {bytes_each:g} bytes + {gradient:,} bytes of gradient"
    total = int(tile * bytes_each) + gradient
    if not spec.is_adapter:
        table = shape.vocab_size * shape.hidden_size * 4
        total += table
        words += f" + {table:,} of the output layer's"
    return total, words


def _unpacked_bytes(spec: FinetuneSpec, facts: ModelFacts, weights: Weights) -> int:
    """The largest quantized matrix, unpacked for its turn."""
    if spec.method not in ("qlora", "lora_8bit") and not weights.is_quantized:
        return 0
    return max((each.out * each.into for each in linear_layers(facts.shape)), default=0) * weights.width
