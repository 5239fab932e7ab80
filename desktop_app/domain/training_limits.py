"""What a kind of machine or model cannot do in a fine-tuning, each with its reason; found out by trying.

One table for the form, which greys these choices, and for the worker, which refuses them.
"""

from .finetune_spec import FinetuneMethod, FinetuneSpec, Objective, Optimizer
from .model_facts import ModelFacts

# Small random models of these kinds gave packed examples other logits than single ones (transformers 5.23); 38 other
# kinds keep them apart. The job tries its own model in any case.
_MIXING = frozenset({
    "bamba", "bloom", "falcon_mamba", "gpt_oss", "granitemoehybrid", "jamba", "mamba", "mamba2", "minimax", "mpt",
    "nemotron_h", "openai-gpt", "opt", "qwen3_next", "recurrent_gemma", "rwkv", "xlstm",
})  # fmt: skip


def optimizer_refusal(optimizer: Optimizer, has_gpu: bool) -> str:
    """Say why an optimizer is of no use here, '' if it is."""
    if optimizer.startswith("paged") and not has_gpu:
        return "paged optimizers move GPU memory to RAM; without a GPU bitsandbytes falls back to the plain one."
    return ""


def method_refusal(method: FinetuneMethod, facts: ModelFacts | None) -> str:
    """Say why a model cannot be trained by a method, '' if it can."""
    if facts is not None and facts.quantization and method in ("full", "pissa"):
        return f"the model is quantized ({facts.quantization}); this needs the original weights."
    if facts is not None and facts.quantization.startswith(("GPTQ", "AWQ")):
        return f"the model is quantized ({facts.quantization}), with which training was not tried here."
    return ""


def packing_refusal(objective: Objective, facts: ModelFacts | None) -> str:
    """Say why several examples cannot share a row, '' if they can or it will be found out."""
    if objective != "sft":
        return "answers are compared row by row."
    if facts is not None and facts.model_type in _MIXING:
        return f"in models of this kind ({facts.model_type}) the examples of a row would see each other."
    return ""


def split_refusal(spec: FinetuneSpec, facts: ModelFacts | None) -> str:
    """Say why weights cannot be split among several processes (FSDP2), '' if they can."""
    if spec.method in ("qlora", "lora_8bit") or (facts is not None and facts.quantization):
        return "weights in 4 or 8 bits cannot be split; each process holds a copy of them."
    if spec.optimizer != "adamw":
        return "of the optimizers only plain AdamW can split what it remembers."
    if spec.needs_reference:
        return "the model as it was would have to be split a second time, which was not tried."
    return ""


def objective_note(objective: Objective) -> str:
    """Say in one sentence what an objective learns from which data."""
    return _OBJECTIVES[objective]


_OBJECTIVES: dict[Objective, str] = {
    "sft": "Learns to write the answers in the data.",
    "dpo": "Learns from pairs to prefer the chosen answer to the rejected one.",
    "kto": "Learns from single answers that were liked or not.",
    "orpo": "Experimental. Learns the chosen answers and to prefer them, in one go.",
    "reward": "Learns to score answers; the result judges, it does not write.",
}
