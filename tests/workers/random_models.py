"""Small random models of several architectures, with a few outliers among their weights as trained ones have."""

from pathlib import Path
from typing import Any

SMALL = {
    "vocab_size": 512,
    "hidden_size": 128,
    "intermediate_size": 256,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
    "bos_token_id": 1,
    "eos_token_id": 2,
}


def write_random_model(folder: Path, kind: str, dtype: str = "bfloat16", shard: str = "50GB", **sizes: Any) -> Path:
    """Save a random model of this kind: llama, qwen3, gemma3, gpt2, mixtral or qwen3_moe."""
    import torch
    import transformers

    config_type, model_type = {
        "llama": ("LlamaConfig", "LlamaForCausalLM"),
        "qwen3": ("Qwen3Config", "Qwen3ForCausalLM"),
        "gemma3": ("Gemma3TextConfig", "Gemma3ForCausalLM"),
        "gpt2": ("GPT2Config", "GPT2LMHeadModel"),
        "mixtral": ("MixtralConfig", "MixtralForCausalLM"),
        "qwen3_moe": ("Qwen3MoeConfig", "Qwen3MoeForCausalLM"),
    }[kind]
    fixed = {**SMALL, **({"head_dim": 32} if kind in ("qwen3", "gemma3") else {}), **sizes}
    if kind == "gpt2":
        fixed = {"vocab_size": 512, "n_embd": 128, "n_layer": 2, "n_head": 4, "bos_token_id": 1, "eos_token_id": 2}
    if kind == "qwen3_moe":
        fixed = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 64, **fixed}
    if kind == "qwen3":
        fixed = {"tie_word_embeddings": True, **fixed}
    torch.manual_seed(7)
    model = getattr(transformers, model_type)(getattr(transformers, config_type)(**fixed))
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.mul_(torch.where(torch.rand_like(parameter) < 0.001, 12.0, 1.0))
    model.to(getattr(torch, dtype)).save_pretrained(folder, max_shard_size=shard)
    return folder
