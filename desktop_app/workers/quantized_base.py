"""In which form the base model of a fine-tuning is held: as it is, in 8 bits, or in 4."""

from pathlib import Path
from typing import Any

import torch

from desktop_app.domain.finetune_spec import FinetuneSpec
from desktop_app.domain.model_facts import ModelFacts

from .kept_layers import linear_shapes, odd_shapes_sentence, unquantized_modules
from .loading import (
    four_bit_config,
    int8_config,
    skeleton,
)
from .reporter import Reporter


def base_quantization(spec: FinetuneSpec, facts: ModelFacts, dtype: torch.dtype, reporter: Reporter) -> Any:
    """Describe how to hold the model, None to leave it as it is; tell the user what stays in 16 bits and why.

    Raises:
        ModelError: no layer of the model can be quantized.
    """
    if spec.method not in ("qlora", "lora_8bit"):
        return None
    if facts.quantization:
        reporter.notice(f"The model is quantized already ({facts.quantization}); it is used as it is.")
        return None
    bare = skeleton(Path(spec.model))
    kept, odd = unquantized_modules(bare, "nf4" if spec.method == "qlora" else "int8", spec.modules_to_save)
    if odd:
        reporter.notice(odd_shapes_sentence(odd, linear_shapes(bare)), "warning")
    if spec.objective == "reward":
        kept = [*kept, "score"]
    if spec.method == "lora_8bit":
        return int8_config(kept)
    return four_bit_config(dtype, [*kept, *odd], spec.double_quantization, spec.quant_type)
