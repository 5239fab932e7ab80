"""Small random models of every architecture that is written as GGUF, with a tokenizer; made in a moment."""

import json
from pathlib import Path
from typing import Any

import torch
import transformers

from tests.fakes.tiny_tokenizer import CHATML, write_tokenizer

_SIZES: dict[str, Any] = {
    "vocab_size": 400,
    "hidden_size": 256,
    "intermediate_size": 512,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
    "bos_token_id": 0,
    "eos_token_id": 1,
    "pad_token_id": 1,
}
_LLAMA_3 = {
    "rope_type": "llama3",
    "rope_theta": 500_000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}
_YARN = {
    "rope_type": "yarn",
    "rope_theta": 10_000.0,
    "factor": 4.0,
    "original_max_position_embeddings": 128,
}
_LONG = {
    "rope_type": "longrope",
    "rope_theta": 10_000.0,
    "long_factor": [1.0 + 0.1 * number for number in range(32)],
    "short_factor": [1.0 + 0.01 * number for number in range(32)],
    "original_max_position_embeddings": 256,
}
_GEMMA: dict[str, Any] = {"head_dim": 64, "query_pre_attn_scalar": 64, "sliding_window": 32}
# Name of the model: class of its config, what it changes.
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("LlamaConfig", {"tie_word_embeddings": False}),
    "llama 3 scaling": ("LlamaConfig", {"tie_word_embeddings": True, "rope_parameters": _LLAMA_3}),
    "llama linear": ("LlamaConfig", {"rope_parameters": {"rope_type": "linear", "rope_theta": 1e4, "factor": 2.0}}),
    "llama biases": ("LlamaConfig", {"attention_bias": True, "head_dim": 32}),
    "mistral": ("MistralConfig", {"sliding_window": None, "head_dim": 64}),
    "smollm3": ("SmolLM3Config", {"tie_word_embeddings": True}),
    "qwen2": ("Qwen2Config", {"tie_word_embeddings": True}),
    "qwen2 yarn": ("Qwen2Config", {"rope_parameters": _YARN}),
    "qwen3": ("Qwen3Config", {"tie_word_embeddings": True, "head_dim": 128}),
    "qwen3 small heads": ("Qwen3Config", {"tie_word_embeddings": False, "head_dim": 64}),
    "gemma": ("GemmaConfig", {"head_dim": 64, "hidden_act": "gelu_pytorch_tanh"}),
    "gemma2": ("Gemma2Config", _GEMMA),
    "gemma3": ("Gemma3TextConfig", {**_GEMMA, "num_hidden_layers": 7}),
    "phi3": ("Phi3Config", {"sliding_window": None, "original_max_position_embeddings": 512}),
    "phi3 long": ("Phi3Config", {"original_max_position_embeddings": 256, "rope_parameters": _LONG}),
    "olmo2": ("Olmo2Config", {}),
}


def make_model(folder: Path, kind: str, dtype: torch.dtype = torch.bfloat16, **changes: Any) -> Path:
    """Write a random model of one of `KINDS` with a byte-level tokenizer into `folder`, and return it."""
    write_tokenizer(folder, CHATML, adds_bos=True)
    class_name, own = KINDS[kind]
    config = getattr(transformers, class_name)(**{**_SIZES, **own, **changes})
    torch.manual_seed(len(kind))
    model = transformers.AutoModelForCausalLM.from_config(config)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            # Norms and biases that are not all ones and zeros, and logits that differ.
            weight.copy_(weight + 0.1 * torch.randn_like(weight) if weight.dim() == 1 else weight * 3)
            assert weight.isfinite().all(), name
    model.to(dtype).save_pretrained(folder)
    vocabulary = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    assert len(vocabulary["model"]["vocab"]) <= config.vocab_size
    return folder
