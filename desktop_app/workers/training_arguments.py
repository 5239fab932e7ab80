"""A fine-tuning spec in the words of transformers, trl and peft; nothing here may reach for the network.

PiSSA starts from a randomized singular value decomposition (16 iterations): seeded, so that a resumed training draws
the same start, and in seconds where the exact one takes minutes.
"""

from typing import Any

import torch
from peft import LoraConfig

from desktop_app.domain.finetune_spec import FinetuneSpec

_OPTIMIZERS = {
    "adamw": "adamw_torch_fused",
    "adamw_8bit": "adamw_8bit",
    "paged_adamw": "paged_adamw_32bit",
    "paged_adamw_8bit": "paged_adamw_8bit",
    "adafactor": "adafactor",
}
_PISSA = "pissa_niter_16"
_OF_EXPERTS = {"gate_proj", "up_proj", "down_proj", "w1", "w2", "w3", "score"}


def leaves_experts_out(spec: FinetuneSpec, model: Any) -> bool:
    """Whether the adapter of "all-linear" leaves out experts, which a model holds as one parameter for each layer.

    peft would copy such a parameter in each step and takes no dropout there (0.21).
    """
    named = model.named_parameters()
    return spec.target_modules == "all-linear" and any(".experts." in name and each.dim() == 3 for name, each in named)


def lora_config(spec: FinetuneSpec, model: Any) -> LoraConfig | None:
    """Describe the adapter in peft's words; None where every weight is trained."""
    if not spec.is_adapter:
        return None
    targets = _outside_experts(model) if leaves_experts_out(spec, model) else spec.target_modules
    return LoraConfig(
        r=spec.rank,
        lora_alpha=spec.alpha,
        lora_dropout=spec.dropout,
        target_modules=targets if isinstance(targets, str) else list(targets),
        modules_to_save=list(spec.modules_to_save) or None,
        use_dora=spec.method == "dora",
        use_rslora=spec.method == "rslora",
        init_lora_weights=_PISSA if spec.method == "pissa" else True,
        task_type="SEQ_CLS" if spec.objective == "reward" else "CAUSAL_LM",
    )


def _outside_experts(model: Any) -> list[str]:
    """Name the linear layers, but for the output layer and what peft would take for an expert's."""
    output = model.get_output_embeddings()
    linear = {
        name.rpartition(".")[2]
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear) and module is not output
    }
    return sorted(linear - _OF_EXPERTS)


def training_arguments(
    spec: FinetuneSpec, folder: str, device: torch.device, compute: torch.dtype, steps: int
) -> dict[str, Any]:
    """Describe the training in transformers' words; `folder` is where the trainer may write, `steps` how many it does.

    `compute` is the number format of the calculations; weights may be held in another.
    """
    options: dict[str, Any] = {
        "output_dir": folder,
        "per_device_train_batch_size": spec.batch_size,
        "gradient_accumulation_steps": spec.gradient_accumulation,
        "num_train_epochs": spec.epochs,
        "max_steps": spec.max_steps or -1,
        "learning_rate": spec.learning_rate,
        **_schedule(spec, steps),
        "weight_decay": spec.weight_decay,
        "max_grad_norm": spec.max_grad_norm,
        "optim": _OPTIMIZERS[spec.optimizer],
        "seed": spec.seed,
        "data_seed": spec.shuffle_seed,
        "bf16": compute == torch.bfloat16,
        "fp16": compute == torch.float16,
        "use_cpu": device.type == "cpu",
        "activation_checkpointing": spec.activation_checkpointing,
        "max_length": None,  # rows are cut already
        "logging_steps": spec.logging_steps,
        "logging_first_step": True,
        "logging_nan_inf_filter": False,
        "save_strategy": "steps" if spec.save_steps else "no",
        "save_steps": spec.save_steps or 500,
        "report_to": "none",
        "disable_tqdm": True,
        "ddp_find_unused_parameters": False,
        "dataloader_pin_memory": device.type == "cuda",
    }
    if spec.is_sharded:
        options["fsdp"] = True
        options["fsdp_config"] = {"version": 2, "activation_checkpointing": spec.activation_checkpointing}
        options["activation_checkpointing"] = False
    if spec.neftune_alpha:
        options["neftune_noise_alpha"] = spec.neftune_alpha
    if spec.objective == "sft":
        options["dataset_kwargs"] = {"skip_prepare_dataset": True}
        options["padding_free"] = spec.padding_free or spec.packing
    elif spec.objective != "reward":
        options["beta"] = spec.beta
    return options


def _schedule(spec: FinetuneSpec, steps: int) -> dict[str, Any]:
    name: str = spec.scheduler
    if name == "constant" and spec.warmup_ratio:
        name = "constant_with_warmup"
    # Below 1, warmup_steps is a share of all steps.
    options: dict[str, Any] = {"lr_scheduler_type": name, "warmup_steps": spec.warmup_ratio}
    if name == "wsd":
        options["lr_scheduler_type"] = "warmup_stable_decay"
        options["lr_scheduler_kwargs"] = {"num_decay_steps": max(1, round(spec.decay_ratio * steps))}
    return options
