"""What a training step holds of its forward pass: the values that autograd saves, counted by family of model.

The counts are those of transformers 5 with PyTorch's attention, taken by listening to what autograd saves of small
models of each family. Units are values for each token of a layer, as multiples of its sizes.
"""

from dataclasses import dataclass

from desktop_app.domain.finetune_spec import FinetuneSpec
from desktop_app.domain.model_facts import Matrix, ModelFacts, ModelShape
from desktop_app.domain.quantized_size import linear_layers


@dataclass(frozen=True, slots=True, kw_only=True)
class Saved:
    """Values that a layer saves for each token, as multiples of hidden size, queries, keys and middle size.

    The plain ones are saved even when the layer's own weights are not trained; `input_*` are inputs of linear layers
    that are saved once more where a weight or an adapter is trained on them; `full_*` only where every weight is.
    `scores`: attention weights held as whole tables, 0 with a fused kernel.
    """

    hidden: float = 2
    queries: float = 2
    keys: float = 2
    middle: float = 3
    scores: float = 0
    input_hidden: float = 2
    input_queries: float = 0
    input_middle: float = 1
    full_hidden: float = 2
    full_queries: float = 0
    full_keys: float = 0
    norms_in_fp32: bool = True


_LLAMA = Saved()
_QUERY_NORMS = Saved(queries=3, keys=3, full_queries=1, full_keys=1)
FAMILIES: dict[str, Saved] = {
    "llama": _LLAMA,
    "mistral": _LLAMA,
    "qwen2": _LLAMA,
    "gemma": _LLAMA,
    "mixtral": _LLAMA,
    "qwen2_moe": _LLAMA,
    "qwen3": _QUERY_NORMS,
    "qwen3_moe": _QUERY_NORMS,
    "olmo2": _QUERY_NORMS,
    "gemma2": Saved(hidden=4, queries=3, keys=0, scores=2, input_queries=1, full_hidden=4),
    "gemma3_text": Saved(hidden=4, queries=3, keys=3, full_hidden=4, full_queries=1, full_keys=1),
    "phi": Saved(hidden=1, middle=4, input_queries=0, full_hidden=0, norms_in_fp32=False),
    "phi3": Saved(queries=3, keys=3, input_queries=1),
    "gpt_neox": Saved(hidden=1, queries=4, keys=2, middle=1, input_hidden=3, full_hidden=0, norms_in_fp32=False),
    "gpt2": Saved(hidden=2, queries=3, keys=0, middle=4, input_hidden=3, full_hidden=0, norms_in_fp32=False),
}
_SCORES_WITH_DROPOUT = 3  # of them, where attention drops out on the processor, which has no fused kernel for it
_NOISE_WITH_DROPOUT = 2  # after attention and after the middle layer


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerBytes:
    """Bytes that a layer saves for a token, in words too; `weights_bytes` once a layer, whatever the tokens."""

    saved: int
    input: int
    backward: int
    words: str
    is_known: bool
    weights_bytes: int = 0


def layer_bytes(spec: FinetuneSpec, facts: ModelFacts, width: int, is_gpu: bool) -> LayerBytes:
    """Count what one layer saves for one token of a training step; `width` is the size of an activation in bytes."""
    s = facts.shape
    found = FAMILIES.get(facts.model_type, _LLAMA)
    hidden, queries = s.hidden_size, s.heads * s.head_dim
    keys = (s.kv_heads or s.heads) * s.head_dim
    is_plain = not spec.is_adapter or spec.dropout == 0
    rows_differ = spec.batch_size > 1 or spec.packing or spec.padding_free
    scores = found.scores
    values = found.queries * queries + found.keys * keys + found.scores * s.heads * spec.max_length
    if s.has_dropout:
        values += _NOISE_WITH_DROPOUT * hidden
        scores += 0 if is_gpu else _SCORES_WITH_DROPOUT
        values += 0 if is_gpu else _SCORES_WITH_DROPOUT * s.heads * spec.max_length
    if rows_differ and not scores:
        values += spec.max_length  # the mask of each layer as numbers
        if keys < queries and found.keys:
            values += 2 * (queries - keys)  # keys and values repeated for each head
    if facts.model_type not in FAMILIES:
        values += _values_of_matrices(s) - found.queries * queries - found.keys * keys - found.hidden * hidden
    else:
        values += found.middle * _middle(s)
    values += s.heads
    if is_plain:
        values += found.input_hidden * hidden + found.input_queries * queries + found.input_middle * _middle(s)
    if not spec.is_adapter:
        values += found.full_hidden * hidden + found.full_queries * queries + found.full_keys * keys
    total = values * width + found.hidden * hidden * (max(4, width) if found.norms_in_fp32 else width)
    total += _expert_values(s, is_plain) * width if facts.model_type in FAMILIES else 0
    if spec.is_adapter:
        adapted = adapted_matrices(s, spec)
        total += sum(spec.rank * each.count for each in adapted) / max(1, s.layers) * width
        if spec.dropout > 0:
            noise = 1 if is_gpu else width
            total += sum(each.into * each.count for each in adapted) / max(1, s.layers) * (width + noise)
        if spec.method == "dora":
            total += sum(each.out * each.count for each in adapted) / max(1, s.layers) * width
    kind = "attention in full" if scores else "fused attention"
    return LayerBytes(
        saved=int(total),
        input=hidden * width,
        backward=int((2 * hidden + 2 * _middle(s)) * width),
        words=f"{kind}, {'padded rows' if rows_differ else 'no padding'}",
        is_known=facts.model_type in FAMILIES,
    )


def adapted_matrices(shape: ModelShape, spec: FinetuneSpec) -> tuple[Matrix, ...]:
    """Return the matrices that get an adapter; all linear ones where those that are named do not exist."""
    layers = linear_layers(shape)
    named = tuple(each for each in layers if spec.target_modules == "all-linear" or each.name in spec.target_modules)
    return named or layers


def _middle(shape: ModelShape) -> float:
    """The width of a layer's feed-forward part for a token, without its routed experts."""
    if not shape.matrices:
        return shape.intermediate_size
    names = ("up_proj", "gate_up_proj", "fc1", "c_fc", "dense_h_to_4h")
    total = sum(
        each.out * each.count / (2 if each.name == "gate_up_proj" else 1)
        for each in shape.matrices
        if each.is_linear and each.name in names
    )
    return total / max(1, shape.layers)


def _values_of_matrices(shape: ModelShape) -> float:
    """What a layer of any family computes for a token, by its matrices: their results, and inputs of another width.

    Attention and feed-forward part each lead back to the residual stream by a matrix whose input is a value of its own,
    of another width or not. For a Llama that is what is counted in `Saved`. Of experts a token passes through a few.
    """
    total, back = 0.0, 0
    for each in shape.matrices:
        is_stacked = not each.is_linear and shape.experts > 1 and each.count % shape.experts == 0
        share = min(1.0, max(1, shape.experts_per_token) / shape.experts) if is_stacked else 1.0
        width = each.out + (each.into if each.into != shape.hidden_size else 0)
        total += width * each.count * share
        back += each.count if each.out == shape.hidden_size != each.into and not is_stacked else 0
    layers = max(1, shape.layers)
    return (total + max(0, 2 * layers - back) * shape.hidden_size) / layers


def _expert_values(shape: ModelShape, is_plain: bool) -> float:
    """What routed experts save for a token: each token passes through a few of them."""
    experts = [each for each in shape.matrices if not each.is_linear and each.name == "up_proj"]
    if not experts or not shape.experts_per_token:
        return 0
    per_layer = shape.experts_per_token / max(1, shape.layers)
    layers = sum(each.count for each in experts) / max(1, shape.experts)
    middle = experts[0].out
    each = (4 * middle + 2 * shape.hidden_size) if is_plain else (3 * middle + shape.hidden_size)
    return per_layer * layers * each
