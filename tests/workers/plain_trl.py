"""A plain trl script, as its documentation would have it: what our trainings are measured against."""

import json
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from peft import LoraConfig
from transformers import AutoModelForCausalLM, AutoTokenizer, set_seed
from trl import SFTConfig, SFTTrainer

from tests.workers.running import DEMO_DATA, DEMO_MODEL

LORA: dict[str, Any] = {"r": 8, "lora_alpha": 32, "target_modules": "all-linear", "task_type": "CAUSAL_LM"}


def plain_trainer(folder: Path, lora: dict[str, Any] | None, **options: Any) -> SFTTrainer:
    """Build trl's trainer for the demo: answers only, fp32 on the processor."""
    seed = options.pop("seed", 42)
    set_seed(seed)
    rows = [json.loads(line) for line in DEMO_DATA.read_text(encoding="utf-8").splitlines()]
    usual: dict[str, Any] = {
        "per_device_train_batch_size": 2,
        "gradient_accumulation_steps": 4,
        "learning_rate": 1e-3,
        "lr_scheduler_type": "cosine",
        "warmup_steps": 0.03,
        "max_length": 128,
        "assistant_only_loss": True,
        "bf16": False,
        "use_cpu": True,
        "activation_checkpointing": False,
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
        "logging_steps": 1,
    }
    return SFTTrainer(
        model=AutoModelForCausalLM.from_pretrained(DEMO_MODEL, dtype=torch.float32),
        args=SFTConfig(output_dir=str(folder), seed=seed, **{**usual, **options}),
        train_dataset=Dataset.from_list(rows),
        processing_class=AutoTokenizer.from_pretrained(DEMO_MODEL),
        peft_config=None if lora is None else LoraConfig(**LORA | lora),
    )


def plain_losses(trainer: SFTTrainer) -> list[float]:
    """Train, and return the loss of each step."""
    trainer.train()
    return [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
