"""Understand a model's `config.json`: what it is, how large, and that loading it needs none of its own code.

Configs disagree about names (hidden_size, n_embd, d_model); this file knows them all. Sizes are checked here,
because memory is planned and reserved by them later.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from desktop_app.domain.model_facts import ModelShape
from desktop_app.errors import ModelError

from .json_file import read_json_object, shown
from .native_architectures import CAUSAL_LANGUAGE_MODELS, OTHER_MODELS, TRANSFORMERS_VERSION
from .parameter_layout import parameter_layout
from .walked_layout import walked_layout

CONFIG = "config.json"
_MAX_CONFIG_BYTES = 2 * 1024 * 1024
# The names of one size in different families of models, and the largest value that is believed.
_SIZES: dict[str, tuple[tuple[str, ...], int]] = {
    "hidden_size": (("hidden_size", "n_embd", "d_model", "dim"), 2**20),
    "layers": (("num_hidden_layers", "n_layer", "num_layers", "n_layers"), 10_000),
    "heads": (("num_attention_heads", "n_head", "num_heads", "n_heads"), 65_536),
    "kv_heads": (("num_key_value_heads", "num_kv_heads", "n_head_kv"), 65_536),
    "head_dim": (("head_dim",), 65_536),
    "intermediate_size": (("intermediate_size", "n_inner", "ffn_dim", "ffn_hidden_size", "d_ff"), 2**24),
    "vocab_size": (("vocab_size",), 2**24),
    "experts": (("num_experts", "num_local_experts", "n_routed_experts"), 65_536),
    "experts_per_token": (("num_experts_per_tok",), 65_536),
    "context_length": (
        ("max_position_embeddings", "n_positions", "n_ctx", "max_sequence_length", "seq_length", "max_seq_len"),
        2**40,
    ),
}
_AGAIN = "Get config.json again from where the model came from."


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelConfig:
    """What config.json says. `context_length` in tokens, 0 where unknown; `quantization` is its raw section."""

    model_type: str
    architecture: str
    shape: ModelShape
    context_length: int
    dtype: str
    quantization: dict[str, Any]

    @property
    def is_language_model(self) -> bool:
        """Whether it can be loaded as a causal language model."""
        return self.model_type in CAUSAL_LANGUAGE_MODELS


def read_model_config(folder: Path) -> ModelConfig:
    """Read and check `config.json`.

    Raises:
        ModelError: it is unreadable or damaged, names a size that no model has, is of an architecture that this
            program does not know, or asks for code from elsewhere.
    """
    raw = read_json_object(folder / CONFIG, _MAX_CONFIG_BYTES)
    refuse_foreign_code(raw, CONFIG)
    model_type = _known_model_type(raw)
    # Models of several parts keep the sizes of their language part in a section of its own.
    part = raw.get("text_config")
    text = {**raw, **part} if isinstance(part, dict) else raw
    sizes = {name: _size(text, names, largest) for name, (names, largest) in _SIZES.items()}
    context_length = sizes.pop("context_length")
    sizes["kv_heads"] = sizes["kv_heads"] or sizes["heads"]
    if not sizes["head_dim"] and sizes["heads"]:
        sizes["head_dim"] = sizes["hidden_size"] // sizes["heads"]
    sizes["intermediate_size"] = sizes["intermediate_size"] or 4 * sizes["hidden_size"]
    architectures = raw.get("architectures")
    names = [name for name in architectures if isinstance(name, str)] if isinstance(architectures, list) else []
    quantization = text.get("quantization_config")
    layout = parameter_layout(raw)
    walked = None if layout else walked_layout(raw)
    return ModelConfig(
        model_type=model_type,
        architecture=names[0][:120] if names else model_type,
        shape=ModelShape(
            **sizes,
            tied_embeddings=text.get("tie_word_embeddings") is True,
            has_dropout=_has_dropout(model_type, text),
            matrices=layout.matrices if layout else walked.matrices if walked else (),
            unknown_because="" if layout or not walked else walked.problem,
        ),
        context_length=context_length,
        dtype=str(text.get("dtype") or text.get("torch_dtype") or "").removeprefix("torch.")[:20],
        quantization=quantization if isinstance(quantization, dict) else {},
    )


def _has_dropout(model_type: str, text: dict[str, Any]) -> bool:
    usual = 0.1 if model_type == "gpt2" else 0.0  # what the family drops where its config does not say
    value = text.get("attn_pdrop", text.get("attention_dropout", usual))
    return isinstance(value, int | float) and value > 0


def refuse_foreign_code(raw: dict[str, Any], file_name: str) -> None:
    """Refuse settings that make a loader fetch or run code, wherever they stand in a parsed file.

    `auto_map` is not among them: a native architecture is loaded by the library's own class all the same.

    Raises:
        ModelError: naming the setting and its value.
    """
    hint = "Get the model from a source that you trust, or remove this setting if you know what it is for."
    nodes: list[Any] = [raw]
    while nodes:
        node = nodes.pop()
        if isinstance(node, list):
            nodes += [child for child in node if isinstance(child, dict | list)]
            continue
        for key, value in node.items():
            if isinstance(value, dict | list):
                nodes.append(value)
            if key == "trust_remote_code" and value:
                raise ModelError(f"{file_name} demands to run code of its own ('trust_remote_code').", hint)
            # A name with a slash would be fetched from a hub and run: transformers' kernels.
            if "attn_implementation" in key or "experts_implementation" in key:
                wrong = [name for name in _texts(value) if not re.fullmatch(r"\w{0,40}", name)]
                if wrong:
                    raise ModelError(f"{file_name}: {key} asks for code from elsewhere: {shown(wrong[0])}.", hint)


def _known_model_type(raw: dict[str, Any]) -> str:
    model_type = raw.get("model_type")
    if not isinstance(model_type, str) or not model_type:
        what = f"model_type is {shown(model_type)}" if "model_type" in raw else "it has no model_type"
        raise ModelError(f"config.json does not say what kind of model this is: {what}.", _AGAIN)
    if model_type in CAUSAL_LANGUAGE_MODELS or model_type in OTHER_MODELS:
        return model_type
    code = sorted({name.split(".")[0].split("--")[-1] + ".py" for name in _texts(raw.get("auto_map"))})
    if code:
        raise ModelError(
            f"The architecture {shown(model_type)} would need code from the model's folder ({shown(code[0])[1:-1]}), "
            "which is never run here.",
            "Choose a model of an architecture that transformers knows itself, such as llama, qwen3 or gemma3.",
        )
    raise ModelError(
        f"The architecture {shown(model_type)} is not known to transformers {TRANSFORMERS_VERSION}.",
        "Choose a model of a known architecture, such as llama, qwen3 or gemma3.",
    )


def _texts(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [text for child in children for text in _texts(child)]


def _size(config: dict[str, Any], names: tuple[str, ...], largest: int) -> int:
    for name in names:
        value = config.get(name)
        if isinstance(value, list) and value and all(isinstance(item, int) for item in value):
            value = max(value)  # some families have a size for each layer
        if value is None:
            continue
        if not isinstance(value, int) or isinstance(value, bool):
            raise ModelError(f"config.json: {name} is {shown(value)}, not a whole number.", _AGAIN)
        if not 0 < value <= largest:
            raise ModelError(f"config.json: {name} is {value:,}; it must be between 1 and {largest:,}.", _AGAIN)
        return value
    return 0
