"""Which matrices a model is made of, from its `config.json` alone: for exact counts before a weight is read.

Knows the families by name and counts them as transformers 5 builds them, each checked against the library on the
meta device. A family that is not listed is unknown (None); nothing is guessed for it. Experts are stacked there in
one parameter, so they are no linear layers: adapters and 4-bit kernels leave them as they are.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from desktop_app.domain.model_facts import Matrix


@dataclass(frozen=True, slots=True, kw_only=True)
class ParameterLayout:
    """`matrices` of the layers, `embeddings` with the output layer, `other`: norms, biases, positions; in weights."""

    matrices: tuple[Matrix, ...]
    embeddings: int
    other: int

    @property
    def parameters(self) -> int:
        """All weights, tied ones once."""
        return sum(matrix.weights for matrix in self.matrices) + self.embeddings + self.other


def parameter_layout(config: Mapping[str, Any]) -> ParameterLayout | None:
    """Count a model by its parsed `config.json`; None if its family is not known here or sizes are missing."""
    part = config.get("text_config")
    text = {**config, **part} if isinstance(part, Mapping) else dict(config)
    build = _FAMILIES.get(str(text.get("model_type")))
    if build is None or isinstance(config.get("vision_config"), Mapping):
        return None
    try:
        return build(_Config(text))
    except (KeyError, TypeError, ZeroDivisionError):
        return None  # a size is missing or no number


class _Config:
    """Sizes under one name each; `size` fails where the config does not say, `flag` and `optional` have a default."""

    def __init__(self, raw: Mapping[str, Any]) -> None:
        self.raw = raw
        self.hidden = self.size("hidden_size", "n_embd")
        self.layers = self.size("num_hidden_layers", "n_layer")
        self.heads = self.size("num_attention_heads", "n_head")
        self.vocab = self.size("vocab_size")
        self.head_dim = self.optional("head_dim", self.hidden // self.heads)
        self.kv_heads = self.optional("num_key_value_heads", self.heads)

    def size(self, *names: str) -> int:
        value = next((self.raw[name] for name in names if self.raw.get(name) is not None), None)
        if type(value) is not int or value <= 0:
            raise KeyError(names[0])
        return value

    def optional(self, name: str, default: int) -> int:
        return default if self.raw.get(name) is None else self.size(name)

    def flag(self, name: str, default: bool = False) -> bool:
        value = self.raw.get(name)
        return default if value is None else bool(value)


def _embeddings(c: _Config, tied: bool = False) -> int:
    return c.vocab * c.hidden * (1 if c.flag("tie_word_embeddings", tied) else 2)


def _matrix(c: _Config, name: str, out: int, into: int, count: int | None = None, stacked: int = 0) -> Matrix:
    each = c.layers if count is None else count
    return Matrix(name=name, out=out, into=into, count=each * (stacked or 1), is_linear=not stacked)


def _attention(c: _Config) -> list[Matrix]:
    queries, keys = c.heads * c.head_dim, c.kv_heads * c.head_dim
    return [
        _matrix(c, "q_proj", queries, c.hidden),
        _matrix(c, "k_proj", keys, c.hidden),
        _matrix(c, "v_proj", keys, c.hidden),
        _matrix(c, "o_proj", c.hidden, queries),
    ]


def _gated(c: _Config, middle: int, count: int | None = None, stacked: int = 0) -> list[Matrix]:
    return [
        _matrix(c, "gate_proj", middle, c.hidden, count, stacked),
        _matrix(c, "up_proj", middle, c.hidden, count, stacked),
        _matrix(c, "down_proj", c.hidden, middle, count, stacked),
    ]


def _biases(matrices: list[Matrix], *names: str) -> int:
    return sum(matrix.out * matrix.count for matrix in matrices if not names or matrix.name in names)


def _rms(c: _Config, per_layer: int = 2) -> int:
    return c.hidden * (per_layer * c.layers + 1)


def _llama(c: _Config) -> ParameterLayout:
    attention, mlp = _attention(c), _gated(c, c.size("intermediate_size"))
    other = _rms(c)
    other += _biases(attention) if c.flag("attention_bias") else 0
    other += _biases(mlp) if c.flag("mlp_bias") else 0
    return ParameterLayout(matrices=(*attention, *mlp), embeddings=_embeddings(c), other=other)


def _qwen2(c: _Config) -> ParameterLayout:
    attention, mlp = _attention(c), _gated(c, c.size("intermediate_size"))
    other = _rms(c) + _biases(attention, "q_proj", "k_proj", "v_proj")
    return ParameterLayout(matrices=(*attention, *mlp), embeddings=_embeddings(c), other=other)


def _qwen3(c: _Config) -> ParameterLayout:
    if c.raw.get("head_dim") is None:
        c.head_dim = 128
    plain = _llama(c)
    return ParameterLayout(
        matrices=plain.matrices, embeddings=plain.embeddings, other=plain.other + 2 * c.head_dim * c.layers
    )


def _gemma(c: _Config, norms: int = 2, query_norms: bool = False) -> ParameterLayout:
    if c.raw.get("head_dim") is None:
        c.head_dim = 256
    attention, mlp = _attention(c), _gated(c, c.size("intermediate_size"))
    other = _rms(c, norms) + (2 * c.head_dim * c.layers if query_norms else 0)
    other += _biases(attention) if c.flag("attention_bias") else 0
    return ParameterLayout(matrices=(*attention, *mlp), embeddings=_embeddings(c, tied=True), other=other)


def _olmo2(c: _Config) -> ParameterLayout:
    plain = _llama(c)
    query_norms = (c.heads + c.kv_heads) * c.head_dim * c.layers
    return ParameterLayout(matrices=plain.matrices, embeddings=plain.embeddings, other=plain.other + query_norms)


def _mixtral(c: _Config) -> ParameterLayout:
    attention, experts = _attention(c), c.size("num_local_experts")
    expert = _gated(c, c.size("intermediate_size"), stacked=experts)
    router = _matrix(c, "gate", experts, c.hidden, stacked=1)
    return ParameterLayout(matrices=(*attention, *expert, router), embeddings=_embeddings(c), other=_rms(c))


def _qwen_moe(c: _Config, shared: bool) -> ParameterLayout:
    attention, experts = _attention(c), c.size("num_experts", "num_local_experts")
    dense = set(c.raw.get("mlp_only_layers") or ())
    every = c.optional("decoder_sparse_step", 1)
    sparse = sum(1 for layer in range(c.layers) if layer not in dense and (layer + 1) % every == 0)
    parts = [*attention, *_gated(c, c.size("moe_intermediate_size"), sparse, experts)]
    parts.append(_matrix(c, "gate", experts, c.hidden, sparse, 1))
    if c.layers > sparse:
        parts += _gated(c, c.size("intermediate_size"), c.layers - sparse)
    other = _rms(c)
    if shared:
        parts += _gated(c, c.size("shared_expert_intermediate_size"), sparse)
        parts.append(_matrix(c, "shared_expert_gate", 1, c.hidden, sparse))
        other += _biases(attention, "q_proj", "k_proj", "v_proj") if c.flag("qkv_bias", True) else 0
    else:
        other += 2 * c.head_dim * c.layers + (_biases(attention) if c.flag("attention_bias") else 0)
    return ParameterLayout(matrices=tuple(parts), embeddings=_embeddings(c), other=other)


def _deepseek(c: _Config) -> ParameterLayout:
    """Latent attention (DeepSeek-V2, section 2.1): keys and values come out of one short vector."""
    nope, rope, value = (c.size(name) for name in ("qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim"))
    latent = c.size("kv_lora_rank")
    rank = c.raw.get("q_lora_rank")
    other = _rms(c) + latent * c.layers
    queries = c.heads * (nope + rope)
    if rank is None:
        parts = [_matrix(c, "q_proj", queries, c.hidden)]
    else:
        parts = [_matrix(c, "q_a_proj", rank, c.hidden), _matrix(c, "q_b_proj", queries, rank)]
        other += rank * c.layers
    parts += [
        _matrix(c, "kv_a_proj_with_mqa", latent + rope, c.hidden),
        _matrix(c, "kv_b_proj", c.heads * (nope + value), latent),
        _matrix(c, "o_proj", c.hidden, c.heads * value),
    ]
    if c.flag("attention_bias"):
        other += _biases(parts, "q_a_proj", "kv_a_proj_with_mqa", "o_proj")
    first = int(c.raw.get("first_k_dense_replace") or 0)
    dense = min(first, c.layers)
    sparse = c.layers - dense
    middle, experts = c.size("moe_intermediate_size"), c.size("n_routed_experts")
    if dense:
        parts += _gated(c, c.size("intermediate_size"), dense)
    if sparse:
        parts += [*_gated(c, middle, sparse, experts), _matrix(c, "gate", experts, c.hidden, sparse, 1)]
        parts += _gated(c, middle * c.size("n_shared_experts"), sparse)
    return ParameterLayout(matrices=tuple(parts), embeddings=_embeddings(c), other=other)


def _phi3(c: _Config) -> ParameterLayout:
    middle, queries, keys = c.size("intermediate_size"), c.heads * c.head_dim, c.kv_heads * c.head_dim
    parts = (
        _matrix(c, "qkv_proj", queries + 2 * keys, c.hidden),
        _matrix(c, "o_proj", c.hidden, queries),
        _matrix(c, "gate_up_proj", 2 * middle, c.hidden),
        _matrix(c, "down_proj", c.hidden, middle),
    )
    return ParameterLayout(matrices=parts, embeddings=_embeddings(c), other=_rms(c))


def _phi(c: _Config) -> ParameterLayout:
    middle = c.size("intermediate_size")
    attention = _attention(c)
    dense = attention[3].model_copy(update={"name": "dense"})
    parts = [*attention[:3], dense, _matrix(c, "fc1", middle, c.hidden), _matrix(c, "fc2", c.hidden, middle)]
    other = _biases(parts) + 2 * c.hidden * (c.layers + 1) + c.vocab
    other += 4 * (c.hidden // c.heads) * c.layers if c.flag("qk_layernorm") else 0
    return ParameterLayout(matrices=tuple(parts), embeddings=_embeddings(c), other=other)


def _gpt2(c: _Config) -> ParameterLayout:
    middle = c.optional("n_inner", 4 * c.hidden)
    parts = [
        _matrix(c, "c_attn", 3 * c.hidden, c.hidden),
        _matrix(c, "c_proj", c.hidden, c.hidden),
        _matrix(c, "c_fc", middle, c.hidden),
        _matrix(c, "c_proj", c.hidden, middle),
    ]
    other = _biases(parts) + 2 * c.hidden * (2 * c.layers + 1) + c.size("n_positions") * c.hidden
    return ParameterLayout(matrices=tuple(parts), embeddings=_embeddings(c, tied=True), other=other)


def _neox(c: _Config) -> ParameterLayout:
    middle = c.size("intermediate_size")
    attention = [
        _matrix(c, "query_key_value", 3 * c.hidden, c.hidden),
        _matrix(c, "dense", c.hidden, c.hidden),
    ]
    mlp = [_matrix(c, "dense_h_to_4h", middle, c.hidden), _matrix(c, "dense_4h_to_h", c.hidden, middle)]
    other = _biases(mlp) + (_biases(attention) if c.flag("attention_bias", True) else 0)
    other += 2 * c.hidden * (2 * c.layers + 1)
    return ParameterLayout(matrices=(*attention, *mlp), embeddings=_embeddings(c), other=other)


def _falcon(c: _Config) -> ParameterLayout:
    middle, head = c.optional("ffn_hidden_size", 4 * c.hidden), c.hidden // c.heads
    is_new = c.flag("new_decoder_architecture")
    fused = 3 * c.hidden
    if is_new:
        fused = (2 * c.optional("num_kv_heads", c.heads) + c.heads) * head
    elif c.flag("multi_query", True):
        fused = c.hidden + 2 * head
    parts = [
        _matrix(c, "query_key_value", fused, c.hidden),
        _matrix(c, "dense", c.hidden, c.hidden),
        _matrix(c, "dense_h_to_4h", middle, c.hidden),
        _matrix(c, "dense_4h_to_h", c.hidden, middle),
    ]
    norms = c.optional("num_ln_in_parallel_attn", 2 if is_new else 1) if c.flag("parallel_attn", True) else 2
    other = 2 * c.hidden * (norms * c.layers + 1) + (_biases(parts) if c.flag("bias") else 0)
    return ParameterLayout(matrices=tuple(parts), embeddings=_embeddings(c, tied=True), other=other)


_FAMILIES: dict[str, Callable[[_Config], ParameterLayout]] = {
    "llama": _llama,
    "mistral": _llama,
    "qwen2": _qwen2,
    "qwen3": _qwen3,
    "qwen2_moe": lambda config: _qwen_moe(config, shared=True),
    "qwen3_moe": lambda config: _qwen_moe(config, shared=False),
    "mixtral": _mixtral,
    "gemma": _gemma,
    "gemma2": lambda config: _gemma(config, norms=4),
    "gemma3_text": lambda config: _gemma(config, norms=4, query_norms=True),
    "phi": _phi,
    "phi3": _phi3,
    "gpt2": _gpt2,
    "gpt_neox": _neox,
    "falcon": _falcon,
    "olmo2": _olmo2,
    "deepseek_v2": _deepseek,
    "deepseek_v3": _deepseek,
}
