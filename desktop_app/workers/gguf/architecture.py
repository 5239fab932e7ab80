"""The architectures that can be written as GGUF: their names there, and how llama.cpp wants their weights.

Facts are those of llama.cpp (src/models/*.cpp and its converter): it turns pairs of neighbouring values in Llama's
queries and keys, where transformers turns the two halves of a head; and it does not add 1 to Gemma's norms.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gguf import MODEL_ARCH, MODEL_ARCH_NAMES

from desktop_app.errors import ModelError

_ELSEWHERE = "Choose another format, such as NF4 or int8, for this model."


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """How one family is written. `pairs_rotary`: interleave rows of queries and keys; `norm_shift`: add to norms.

    `window_period`: llama.cpp takes every so-many-th layer for one of full attention, 0 if it knows no window.
    `wide_layers`: at this number of layers llama.cpp scales attention by hidden size over heads, not by head size.
    """

    arch: MODEL_ARCH
    activation: str = "silu"
    pairs_rotary: bool = False
    norm_shift: float = 0.0
    window_period: int = 0
    wide_layers: int = 0

    @property
    def name(self) -> str:
        """The name in the file's header."""
        return MODEL_ARCH_NAMES[self.arch]


_LLAMA = Architecture(arch=MODEL_ARCH.LLAMA, pairs_rotary=True)
_GEMMA: dict[str, Any] = {"activation": "gelu_pytorch_tanh", "norm_shift": 1.0}
_GEMMA_3 = Architecture(arch=MODEL_ARCH.GEMMA3, window_period=6, wide_layers=62, **_GEMMA)
ARCHITECTURES: Mapping[str, Architecture] = {
    "llama": _LLAMA,
    "mistral": _LLAMA,
    "smollm3": Architecture(arch=MODEL_ARCH.SMOLLM3, pairs_rotary=True),
    "qwen2": Architecture(arch=MODEL_ARCH.QWEN2),
    "qwen3": Architecture(arch=MODEL_ARCH.QWEN3),
    "gemma": Architecture(arch=MODEL_ARCH.GEMMA, **_GEMMA),
    "gemma2": Architecture(arch=MODEL_ARCH.GEMMA2, window_period=2, wide_layers=46, **_GEMMA),
    "gemma3": _GEMMA_3,
    "gemma3_text": _GEMMA_3,
    "phi3": Architecture(arch=MODEL_ARCH.PHI3),
    "olmo2": Architecture(arch=MODEL_ARCH.OLMO2),
}


def known_architecture(config: Any) -> Architecture:
    """Return how to write the model of this transformers config, whose language part is looked at.

    Raises:
        ModelError: llama.cpp has no such architecture, or computes it otherwise than this config asks for.
    """
    name = str(config.model_type)
    if name not in ARCHITECTURES:
        known = ", ".join(dict.fromkeys(ARCHITECTURES))
        raise ModelError(f"A model of the kind {name!r} cannot be written as GGUF here.", f"Known are {known}.")
    architecture = ARCHITECTURES[name]
    _check_activation(config, architecture)
    if architecture.activation != "silu":
        _check_attention_scale(config, architecture)
    if architecture.arch == MODEL_ARCH.SMOLLM3:
        _check_layers_without_rope(config)
    return architecture


def _check_activation(config: Any, architecture: Architecture) -> None:
    asked = getattr(config, "hidden_activation", None) or getattr(config, "hidden_act", None) or architecture.activation
    same = {"gelu": "gelu_pytorch_tanh"} if architecture.arch == MODEL_ARCH.GEMMA else {}
    if same.get(asked, asked) != architecture.activation:
        raise ModelError(
            f"The model asks for the activation {asked!r}; llama.cpp computes {architecture.name} with "
            f"{architecture.activation!r}.",
            _ELSEWHERE,
        )


def _check_attention_scale(config: Any, architecture: Architecture) -> None:
    asked = getattr(config, "query_pre_attn_scalar", None)
    is_wide = config.num_hidden_layers == architecture.wide_layers
    taken = config.hidden_size // config.num_attention_heads if is_wide else config.head_dim
    if asked is not None and asked != taken:
        raise ModelError(
            f"The model scales attention by {asked} (query_pre_attn_scalar); llama.cpp would by {taken}.", _ELSEWHERE
        )


def _check_layers_without_rope(config: Any) -> None:
    turned = [bool(value) for value in config.no_rope_layers]
    if turned != [(layer + 1) % 4 != 0 for layer in range(config.num_hidden_layers)]:
        raise ModelError("The model leaves out rotary positions in other layers than every fourth.", _ELSEWHERE)
