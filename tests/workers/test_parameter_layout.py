"""Counts from `config.json` alone are exactly those of transformers' own models, built on the meta device."""

import json
from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.pytorch_utils import Conv1D

from desktop_app.library.parameter_layout import parameter_layout

# model_type, vocab, hidden, intermediate, layers, heads, key heads, more
_GATED: list[tuple[str, int, int, int, int, int, int, dict[str, Any]]] = [
    ("llama", 32000, 4096, 11008, 32, 32, 32, {}),
    ("llama", 128256, 4096, 14336, 32, 32, 8, {}),
    ("llama", 128256, 2048, 8192, 16, 32, 8, {"tie_word_embeddings": True, "head_dim": 64}),
    ("llama", 49152, 576, 1536, 30, 9, 3, {"tie_word_embeddings": True}),
    ("llama", 64000, 512, 1024, 3, 8, 4, {"attention_bias": True, "mlp_bias": True}),
    ("mistral", 32000, 4096, 14336, 32, 32, 8, {}),
    ("mistral", 131072, 5120, 14336, 40, 32, 8, {"head_dim": 128}),
    ("qwen2", 151936, 896, 4864, 24, 14, 2, {"tie_word_embeddings": True}),
    ("qwen2", 151936, 1536, 8960, 28, 12, 2, {"tie_word_embeddings": True}),
    ("qwen2", 152064, 3584, 18944, 28, 28, 4, {}),
    ("qwen2", 152064, 5120, 27648, 64, 40, 8, {}),
    ("qwen3", 151936, 1024, 3072, 28, 16, 8, {"tie_word_embeddings": True, "head_dim": 128}),
    ("qwen3", 151936, 2560, 9728, 36, 32, 8, {"tie_word_embeddings": True}),
    ("qwen3", 151936, 4096, 12288, 36, 32, 8, {"attention_bias": True}),
    ("gemma", 256000, 2048, 16384, 18, 8, 1, {"head_dim": 256}),
    ("gemma", 256000, 3072, 24576, 28, 16, 16, {}),
    ("gemma2", 256000, 2304, 9216, 26, 8, 4, {}),
    ("gemma2", 256000, 3584, 14336, 42, 16, 8, {"head_dim": 256}),
    ("gemma2", 256000, 4608, 36864, 46, 32, 16, {"head_dim": 128}),
    ("gemma3_text", 262144, 640, 2048, 18, 4, 1, {"head_dim": 256}),
    ("gemma3_text", 262144, 1152, 6912, 26, 4, 1, {}),
    ("phi", 51200, 2048, 8192, 24, 32, 32, {}),
    ("phi", 51200, 2560, 10240, 32, 32, 32, {"qk_layernorm": True}),
    ("phi3", 32064, 3072, 8192, 32, 32, 32, {}),
    ("phi3", 100352, 5120, 17920, 40, 40, 10, {}),
    ("phi3", 200064, 3072, 8192, 32, 24, 8, {"tie_word_embeddings": True}),
    ("olmo2", 100352, 2048, 8192, 16, 16, 16, {}),
    ("olmo2", 100352, 4096, 11008, 32, 32, 32, {}),
    ("olmo2", 100352, 5120, 27648, 64, 40, 8, {}),
    ("gpt_neox", 50304, 512, 2048, 6, 8, 8, {}),
    ("gpt_neox", 50432, 6144, 24576, 44, 64, 64, {}),
    ("gpt_neox", 50304, 1024, 4096, 4, 8, 8, {"attention_bias": False, "tie_word_embeddings": True}),
    ("mixtral", 32000, 4096, 14336, 32, 32, 8, {"num_local_experts": 8}),
]
_QWEN_MOE = {"num_experts": 60, "moe_intermediate_size": 1408, "shared_expert_intermediate_size": 5632}
_DEEPSEEK = {"kv_lora_rank": 512, "qk_rope_head_dim": 64, "qk_nope_head_dim": 128, "v_head_dim": 128}
_OTHERS: list[dict[str, Any]] = [
    {"model_type": "gpt2", "vocab_size": 50257, "n_embd": 768, "n_layer": 12, "n_head": 12, "n_positions": 1024},
    {"model_type": "gpt2", "vocab_size": 50257, "n_embd": 1600, "n_layer": 48, "n_head": 25, "n_positions": 1024},
    {"model_type": "gpt2", "vocab_size": 999, "n_embd": 64, "n_layer": 2, "n_head": 2, "n_positions": 8, "n_inner": 99},
    {"model_type": "falcon", "hidden_size": 4544, "num_hidden_layers": 32, "num_attention_heads": 71},
    {"model_type": "falcon", "hidden_size": 2048, "num_hidden_layers": 24, "num_attention_heads": 32, "bias": True,
     "multi_query": False, "parallel_attn": False, "alibi": True},
    {"model_type": "falcon", "hidden_size": 8192, "num_hidden_layers": 60, "num_attention_heads": 128,
     "new_decoder_architecture": True, "num_kv_heads": 8},
    {"model_type": "qwen2_moe", "hidden_size": 2048, "num_hidden_layers": 24, "num_attention_heads": 16,
     "num_key_value_heads": 16, "intermediate_size": 5632, **_QWEN_MOE},
    {"model_type": "qwen2_moe", "hidden_size": 512, "num_hidden_layers": 5, "num_attention_heads": 8,
     "num_key_value_heads": 2, "intermediate_size": 1024, "decoder_sparse_step": 2, **_QWEN_MOE},
    {"model_type": "qwen3_moe", "hidden_size": 2048, "num_hidden_layers": 48, "num_attention_heads": 32,
     "num_key_value_heads": 4, "intermediate_size": 6144, "num_experts": 128, "moe_intermediate_size": 768,
     "head_dim": 128},
    {"model_type": "qwen3_moe", "hidden_size": 256, "num_hidden_layers": 4, "num_attention_heads": 4,
     "num_key_value_heads": 2, "intermediate_size": 512, "num_experts": 8, "moe_intermediate_size": 96,
     "mlp_only_layers": [0]},
    {"model_type": "deepseek_v3", "hidden_size": 7168, "intermediate_size": 18432, "num_hidden_layers": 61,
     "num_attention_heads": 128, "moe_intermediate_size": 2048, "n_routed_experts": 256, "n_shared_experts": 1,
     "q_lora_rank": 1536, "first_k_dense_replace": 3, **_DEEPSEEK},
    {"model_type": "deepseek_v3", "hidden_size": 2048, "intermediate_size": 11264, "num_hidden_layers": 27,
     "num_attention_heads": 16, "moe_intermediate_size": 1408, "n_routed_experts": 64, "n_shared_experts": 2,
     "q_lora_rank": None, "first_k_dense_replace": 1, **_DEEPSEEK},
    {"model_type": "deepseek_v2", "hidden_size": 2048, "intermediate_size": 10944, "num_hidden_layers": 27,
     "num_attention_heads": 16, "moe_intermediate_size": 1408, "n_routed_experts": 64, "n_shared_experts": 2,
     "q_lora_rank": None, "first_k_dense_replace": 1, "attention_bias": True, **_DEEPSEEK},
]  # fmt: skip
_NAMES = ("model_type", "vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads")
CONFIGS: list[dict[str, Any]] = [
    *(dict(zip((*_NAMES, "num_key_value_heads"), case[:7], strict=True)) | case[7] for case in _GATED),
    *({"vocab_size": 65024} | case for case in _OTHERS),
]


@pytest.mark.parametrize("given", CONFIGS, ids=lambda case: str(case["model_type"]))
def test_the_count_is_that_of_transformers(given: dict[str, Any]) -> None:
    config = AutoConfig.for_model(**given)
    written = json.loads(config.to_json_string(use_diff=False))  # as a model on the Hub has it, with its defaults
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    layout = parameter_layout(written)
    assert layout is not None
    assert layout.parameters == sum(weight.numel() for weight in model.parameters())
    assert parameter_layout(given) == layout, "the sizes alone say the same"
    linear = sum(
        module.weight.numel()
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear | Conv1D) and not name.endswith(("lm_head", "embed_out"))
    )
    assert sum(matrix.weights for matrix in layout.matrices if matrix.is_linear) == linear


def test_there_are_forty_of_them_and_an_unknown_one_is_unknown() -> None:
    assert len(CONFIGS) >= 40
    assert parameter_layout({"model_type": "mamba", "hidden_size": 8}) is None
    assert parameter_layout({"model_type": "llama", "hidden_size": "8"}) is None
