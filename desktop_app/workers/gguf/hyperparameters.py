"""Write a model's sizes and settings into a GGUF header, under the keys that llama.cpp reads."""

from typing import Any

import torch
from gguf import GGUFType, GGUFWriter, LlamaFileType

from desktop_app.domain.model_facts import ModelFacts

from .architecture import Architecture
from .rope import describe_rope, head_size


def describe_model(
    config: Any, architecture: Architecture, facts: ModelFacts, file_type: LlamaFileType, header: GGUFWriter
) -> dict[str, torch.Tensor]:
    """Write everything but the vocabulary; return the tensors that exist only in GGUF, by name.

    Raises:
        ModelError: llama.cpp cannot compute what the config asks for.
    """
    header.add_type(GGUFType.MODEL)
    header.add_name(facts.name)
    header.add_license(facts.licence)
    header.add_block_count(config.num_hidden_layers)
    header.add_context_length(config.max_position_embeddings)
    header.add_embedding_length(config.hidden_size)
    header.add_feed_forward_length(config.intermediate_size)
    header.add_head_count(config.num_attention_heads)
    header.add_head_count_kv(getattr(config, "num_key_value_heads", None) or config.num_attention_heads)
    header.add_key_length(head_size(config))
    header.add_value_length(head_size(config))
    header.add_vocab_size(config.vocab_size)
    header.add_layer_norm_rms_eps(config.rms_norm_eps)
    for name, add in (
        ("attn_logit_softcapping", header.add_attn_logit_softcapping),
        ("final_logit_softcapping", header.add_final_logit_softcapping),
    ):
        if getattr(config, name, None):
            add(float(getattr(config, name)))
    _describe_window(config, architecture, header)
    header.add_file_type(file_type)
    header.add_quantization_version(2)  # of the block formats, ggml's GGML_QNT_VERSION
    return describe_rope(config, architecture, header)


def window_note(config: Any, architecture: Architecture) -> str:
    """Say that llama.cpp will look at all tokens where the model looks at a window; '' where it does as the model."""
    window = getattr(config, "sliding_window", None)
    is_used = bool(window) and getattr(config, "use_sliding_window", True) and window < config.max_position_embeddings
    if not is_used or architecture.window_period:
        return ""
    return (
        f"This model looks back {window:,} tokens; llama.cpp has no such window for {architecture.name} and looks back "
        "at all. Texts that are longer will be continued differently."
    )


def _describe_window(config: Any, architecture: Architecture, header: GGUFWriter) -> None:
    kinds = list(getattr(config, "layer_types", None) or ())
    if not architecture.window_period or "sliding_attention" not in kinds:
        return
    header.add_sliding_window(config.sliding_window)
    slides = [kind == "sliding_attention" for kind in kinds]
    if slides != [(layer + 1) % architecture.window_period != 0 for layer in range(len(kinds))]:
        header.add_sliding_window_pattern(slides)
