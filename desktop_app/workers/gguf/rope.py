"""Rotary positions in a GGUF header, and the tensors of factors that some kinds of scaling need.

Formulas: Llama 3.1's frequency scaling as in transformers' `_compute_llama3_parameters`; LongRoPE's attention factor
from its paper (arXiv 2402.13753), sqrt(1 + ln(scale) / ln(original length)).
"""

import math
from typing import Any

import torch
from gguf import MODEL_ARCH, GGUFWriter, RopeScalingType

from desktop_app.errors import ModelError

from .architecture import Architecture


def rotary_dimensions(config: Any) -> int:
    """Return how many values of a head are turned."""
    share = _parameters(config).get("partial_rotary_factor") or getattr(config, "partial_rotary_factor", None) or 1.0
    return int(share * head_size(config))


def head_size(config: Any) -> int:
    """Return the number of values of a head."""
    return int(getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads)


def describe_rope(config: Any, architecture: Architecture, header: GGUFWriter) -> dict[str, torch.Tensor]:
    """Write the settings; return the tensors that belong to them, by name.

    Raises:
        ModelError: a kind of scaling that llama.cpp does not know for this architecture.
    """
    parameters = _parameters(config)
    header.add_rope_dimension_count(rotary_dimensions(config))
    header.add_rope_freq_base(float(parameters.get("rope_theta", 10_000.0)))
    local = _all_parameters(config).get("sliding_attention")
    if isinstance(local, dict) and "rope_theta" in local:
        header.add_rope_freq_base_swa(float(local["rope_theta"]))
    kind = str(parameters.get("rope_type") or "default")
    if kind == "default":
        if architecture.arch == MODEL_ARCH.PHI3:
            header.add_rope_scaling_orig_ctx_len(_original_length(config, parameters))
        return {}
    if kind == "linear":
        header.add_rope_scaling_type(RopeScalingType.LINEAR)
        header.add_rope_scaling_factor(float(parameters["factor"]))
        return {}
    if kind == "yarn":
        _describe_yarn(config, parameters, header)
        return {}
    if kind == "llama3" and architecture.arch in (MODEL_ARCH.LLAMA, MODEL_ARCH.SMOLLM3):
        return {"rope_freqs.weight": _llama3_factors(config, parameters)}
    if kind in ("longrope", "su") and architecture.arch == MODEL_ARCH.PHI3:
        return _describe_longrope(config, parameters, header)
    raise ModelError(
        f"The model scales its rotary positions by {kind!r}, which llama.cpp does not do for {architecture.name}.",
        "Choose another format, such as NF4 or int8, for this model.",
    )


def _describe_yarn(config: Any, parameters: dict[str, Any], header: GGUFWriter) -> None:
    header.add_rope_scaling_type(RopeScalingType.YARN)
    header.add_rope_scaling_factor(float(parameters["factor"]))
    header.add_rope_scaling_orig_ctx_len(_original_length(config, parameters))
    for name, add in (
        ("beta_fast", header.add_rope_scaling_yarn_beta_fast),
        ("beta_slow", header.add_rope_scaling_yarn_beta_slow),
        ("attention_factor", header.add_rope_scaling_yarn_attn_factor),
    ):
        if parameters.get(name) is not None:
            add(float(parameters[name]))


def _llama3_factors(config: Any, parameters: dict[str, Any]) -> torch.Tensor:
    """Return what each frequency is divided by: 1 for short waves, the factor for long ones, in between for others."""
    size = head_size(config)
    exponents = torch.arange(0, size, 2, dtype=torch.float32) / size
    waves = 2 * math.pi * float(parameters["rope_theta"]) ** exponents
    factor, low, high = (float(parameters[name]) for name in ("factor", "low_freq_factor", "high_freq_factor"))
    turns = _original_length(config, parameters) / waves
    smooth = (turns - low) / (high - low)
    between = 1 / ((1 - smooth) / factor + smooth)
    return torch.where(turns > high, 1.0, torch.where(turns < low, factor, between))


def _describe_longrope(config: Any, parameters: dict[str, Any], header: GGUFWriter) -> dict[str, torch.Tensor]:
    original = _original_length(config, parameters)
    stretch = config.max_position_embeddings / original
    factor = math.sqrt(1 + math.log(stretch) / math.log(original)) if stretch > 1 else 1.0
    header.add_rope_scaling_orig_ctx_len(original)
    header.add_rope_scaling_attn_factors(float(parameters.get("attention_factor") or factor))
    factors = {
        length: torch.tensor(parameters[f"{length}_factor"], dtype=torch.float32) for length in ("long", "short")
    }
    for length, values in factors.items():
        if len(values) != rotary_dimensions(config) // 2:
            raise ModelError(
                f"config.json lists {len(values)} factors for {length} texts; the model turns "
                f"{rotary_dimensions(config) // 2} pairs.",
                "Get config.json again from where the model came from.",
            )
    return {f"rope_factors_{length}.weight": values for length, values in factors.items()}


def _original_length(config: Any, parameters: dict[str, Any]) -> int:
    """Return the length in tokens that the model was first trained with."""
    named = parameters.get("original_max_position_embeddings")
    return int(named or getattr(config, "original_max_position_embeddings", None) or config.max_position_embeddings)


def _parameters(config: Any) -> dict[str, Any]:
    """Return the rotary settings, of layers with full attention where the two kinds of layers differ."""
    every = _all_parameters(config)
    full = every.get("full_attention")
    return dict(full) if isinstance(full, dict) else every


def _all_parameters(config: Any) -> dict[str, Any]:
    return dict(getattr(config, "rope_parameters", None) or {})
