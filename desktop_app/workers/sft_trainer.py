"""Build trl's trainer for one fine-tuning: trl collates and trains, everything around it is ours.

Adapters are kept in fp32: trl casts those of quantized models to bf16, in which small updates are lost and
a resumed training differs from an uninterrupted one.
"""

from typing import Any

import pyarrow as pa
import torch
from datasets import Dataset
from peft import LoraConfig
from transformers import set_seed
from transformers.trainer_callback import PrinterCallback
from trl import SFTConfig, SFTTrainer

from desktop_app.domain.finetune_spec import FinetuneSpec

from .checkpoints import Checkpoints
from .token_rows import TokenRows
from .training_voice import TrainingVoice


class Trainer(SFTTrainer):
    """trl's trainer without the model card that it would draft for each checkpoint."""

    def create_model_card(self, *args: Any, **options: Any) -> None:
        """Leave the card to the result folder, where it says what was measured."""

    def tokens_seen(self) -> int:
        """Tokens read so far, without padding."""
        return int(self._total_train_tokens)

    def start_counting_at(self, tokens: int) -> None:
        """Go on counting where an earlier attempt ended."""
        self._total_train_tokens = tokens


def make_trainer(
    spec: FinetuneSpec, model: Any, tokenizer: Any, rows: TokenRows, checkpoints: Checkpoints, voice: TrainingVoice
) -> Trainer:
    """Attach a new adapter to the model and return the trainer for it."""
    set_seed(spec.seed)  # the adapter is drawn before the trainer sets its own seed
    device = next(model.parameters()).device
    trainer = Trainer(
        model=model,
        args=training_arguments(spec, checkpoints, device, model.dtype),
        train_dataset=data_set(rows),
        processing_class=tokenizer,
        peft_config=lora_config(spec),
        callbacks=[voice],
    )
    for parameter in trainer.model.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()
    trainer.remove_callback(PrinterCallback)
    voice.tokens_seen = trainer.tokens_seen
    voice.has_loss_scaler = model.dtype == torch.float16
    return trainer


def data_set(rows: TokenRows) -> Dataset:
    """Hand rows to trl as the table that it wants, without copying them."""
    starts = pa.array(rows.starts, pa.int32())
    columns = {"input_ids": rows.ids, "labels": rows.labels}
    return Dataset(pa.table({name: pa.ListArray.from_arrays(starts, pa.array(flat)) for name, flat in columns.items()}))


def lora_config(spec: FinetuneSpec) -> LoraConfig:
    """Describe the adapter in peft's words."""
    targets = spec.target_modules
    return LoraConfig(
        r=spec.rank,
        lora_alpha=spec.alpha,
        lora_dropout=spec.dropout,
        target_modules=targets if isinstance(targets, str) else list(targets),
        task_type="CAUSAL_LM",
    )


def training_arguments(
    spec: FinetuneSpec, checkpoints: Checkpoints, device: torch.device, dtype: torch.dtype
) -> SFTConfig:
    """Describe the training in trl's words; nothing here may reach for the network."""
    scheduler = "constant_with_warmup" if spec.scheduler == "constant" and spec.warmup_ratio else spec.scheduler
    return SFTConfig(
        output_dir=str(checkpoints.aside),
        per_device_train_batch_size=spec.batch_size,
        gradient_accumulation_steps=spec.gradient_accumulation,
        num_train_epochs=spec.epochs,
        max_steps=spec.max_steps or -1,
        learning_rate=spec.learning_rate,
        lr_scheduler_type=scheduler,
        warmup_steps=spec.warmup_ratio,  # below 1 it is a share of all steps
        weight_decay=spec.weight_decay,
        max_grad_norm=spec.max_grad_norm,
        optim="adamw_torch_fused",
        seed=spec.seed,
        data_seed=spec.shuffle_seed,
        bf16=dtype == torch.bfloat16,
        fp16=dtype == torch.float16,
        use_cpu=device.type == "cpu",
        activation_checkpointing=spec.activation_checkpointing,
        max_length=None,
        dataset_kwargs={"skip_prepare_dataset": True},
        logging_steps=spec.logging_steps,
        logging_first_step=True,
        logging_nan_inf_filter=False,
        save_strategy="steps" if spec.save_steps else "no",
        save_steps=spec.save_steps or 500,
        report_to="none",
        disable_tqdm=True,
        dataloader_pin_memory=device.type == "cuda",
    )
