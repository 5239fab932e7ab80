"""trl's trainers, one for each objective, fed with our tokens: trl collates and trains, everything around it is ours.

Adapters are kept in fp32: trl casts those of quantized models to bf16, in which small updates are lost and
a resumed training differs from an uninterrupted one.
"""

import math
import warnings
from pathlib import Path
from typing import Any

import pyarrow as pa
import torch
from datasets import Dataset
from transformers import set_seed
from transformers.trainer_callback import PrinterCallback
from trl import (
    DPOConfig,
    DPOTrainer,
    KTOConfig,
    KTOTrainer,
    RewardConfig,
    RewardTrainer,
    SFTConfig,
    SFTTrainer,
    pack_dataset,
)

from desktop_app.domain.finetune_spec import FinetuneSpec, Objective
from desktop_app.errors import JobError, SpecError

from .checkpoints import optimizer_of
from .sharding import (
    load_optimizer,
    load_parts,
    save_adapter_by_own_names,
    save_optimizer,
    shard_between_processors,
    trained_weights,
)
from .training_arguments import lora_config, training_arguments


class OwnTokens:
    """What our trainers have in common; stands before one of trl's among the base classes."""

    model: Any
    args: Any
    optimizer: Any
    lr_scheduler: Any
    is_fsdp_enabled: bool
    _tr_loss: Any
    _globalstep_last_logged: int
    _total_train_tokens: int
    optimizer_name = ""
    learning_rate = 0.0
    has_loss_scaler = False

    def create_model_card(self, *args: Any, **options: Any) -> None:
        """Leave the card to the result folder, where it says what was measured."""

    def create_accelerator_and_postprocess(self) -> None:
        """Make what spreads the training over the processes."""
        super().create_accelerator_and_postprocess()  # type: ignore[misc]
        shard_between_processors(self)

    def tokens_seen(self) -> int:
        """Tokens read so far, without padding."""
        return int(self._total_train_tokens)

    def start_counting_at(self, tokens: int) -> None:
        """Go on counting where an earlier attempt ended."""
        self._total_train_tokens = tokens

    def partial_loss(self) -> dict[str, float | int]:
        """What the next point of the loss curve holds already, between two of its points."""
        return {"loss_sum": float(self._tr_loss), "last_logged": self._globalstep_last_logged}

    def take_up_loss(self, loss_sum: float, last_logged: int) -> None:
        """Go on with a point of the loss curve that an earlier attempt began."""
        self._tr_loss += loss_sum
        self._globalstep_last_logged = last_logged

    def training_step(self, *args: Any, **options: Any) -> torch.Tensor:
        """Compute loss and gradients of one batch.

        Raises:
            SpecError: the loss is no longer a number; the weights are still those of the step before.
        """
        loss: torch.Tensor = super().training_step(*args, **options)  # type: ignore[misc]
        # Among several processes the gradient tells, which all of them share: none must leave alone.
        if not bool(loss.isfinite()) and (self.args.world_size == 1 or self.has_loss_scaler):
            raise self._not_finite("The loss", float(loss))
        return loss

    def _clip_grad_norm(self, model: Any) -> Any:
        norm = super()._clip_grad_norm(model)  # type: ignore[misc]
        # With fp16 the loss scaler makes single gradients overflow on purpose and leaves those steps out.
        if not self.has_loss_scaler and not math.isfinite(float(norm)):
            raise self._not_finite("The gradient", float(norm))
        return norm

    def _not_finite(self, what: str, value: float) -> SpecError:
        step = self.state.global_step  # type: ignore[attr-defined]
        return SpecError(
            f"{what} is no longer a number at step {step + 1:,} ({value}); the training was stopped before that step.",
            f"Try a lower learning_rate (it is {self.learning_rate:g}), a longer warm-up, or bf16 or fp32 in place of "
            "fp16. The last checkpoint is good.",
            "learning_rate",
        )

    def _prepare_dataset(self, dataset: Dataset, *args: Any, **options: Any) -> Dataset:
        return dataset

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        """Load the weights, and see to it that they are held as they were when they were saved."""
        if self.is_fsdp_enabled:
            load_parts(self.model, Path(resume_from_checkpoint))
            return
        formats = {name: parameter.dtype for name, parameter in self.model.named_parameters()}
        super()._load_from_checkpoint(resume_from_checkpoint, model)  # type: ignore[misc]
        for name, parameter in self.model.named_parameters():
            if parameter.dtype != formats[name]:
                if not parameter.requires_grad:
                    raise JobError(
                        f"The checkpoint changed the number format of {name} from {formats[name]} to "
                        f"{parameter.dtype}, so the training could not go on as it was.",
                        "Start the training anew with the same settings.",
                    )
                parameter.data = parameter.data.to(formats[name])

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        """Save adapter or model; of a split one only what is trained is brought together."""
        if not self.is_fsdp_enabled:
            super().save_model(output_dir, _internal_call)  # type: ignore[misc]
            return
        weights = trained_weights(self.model)
        if self.args.should_save and output_dir is not None:
            self._save(output_dir, state_dict=weights)  # type: ignore[attr-defined]
            if hasattr(self.model, "peft_config"):
                save_adapter_by_own_names(Path(output_dir), weights)

    def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
        if not self.is_fsdp_enabled:
            super()._save_optimizer_and_scheduler(output_dir)  # type: ignore[misc]
            return
        is_writer = self.args.should_save
        save_optimizer(self.model, self.optimizer, Path(output_dir) / "optimizer.pt", is_writer)
        if is_writer:
            torch.save(self.lr_scheduler.state_dict(), Path(output_dir) / "scheduler.pt")

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        """Load both; an optimizer of another kind begins with an empty memory, only the schedule goes on."""
        is_same = checkpoint is not None and optimizer_of(Path(checkpoint)) in ("", self.optimizer_name)
        if checkpoint is None or (is_same and not self.is_fsdp_enabled):
            super()._load_optimizer_and_scheduler(checkpoint)  # type: ignore[misc]
            return
        if is_same:
            load_optimizer(self.model, self.optimizer, Path(checkpoint) / "optimizer.pt")
        state = torch.load(Path(checkpoint) / "scheduler.pt", weights_only=True)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.lr_scheduler.load_state_dict(state)


class OurSft(OwnTokens, SFTTrainer):
    """Learn to write the answers."""


class OurDpo(OwnTokens, DPOTrainer):
    """Learn to prefer the chosen answer, held near the model as it was."""


class OurKto(OwnTokens, KTOTrainer):
    """Learn from single answers that were liked or not."""

    def _prepare_dataset(
        self, dataset: Dataset, processing_class: Any, args: KTOConfig, *more: Any, **options: Any
    ) -> Dataset:
        """Pair each prompt with the answer before it in its batch, from which KTO estimates the divergence.

        Rows keep their order and batches their borders, as trl's own preparation and its sequential sampler do.
        """
        answers, size = dataset["completion_ids"], args.per_device_train_batch_size
        turned: list[list[int]] = []
        for start in range(0, len(answers), size):
            batch = answers[start : start + size]
            turned += [batch[-1], *batch[:-1]]
        return dataset.add_column("KL_completion_ids", turned)


class OurReward(OwnTokens, RewardTrainer):
    """Learn to give the chosen answer the higher score."""


def make_trainer(
    spec: FinetuneSpec,
    model: Any,
    tokenizer: Any,
    table: pa.Table,
    folder: Path,
    compute: torch.dtype,
    callbacks: list[Any],
    reference: Any = None,
) -> Any:
    """Attach a new adapter to the model, if one is asked for, and return the trainer.

    `table` holds the columns that trl's own preparation would make. `compute` is the number format of the
    calculations. `reference` is the model as it was, where the spec needs it.
    """
    set_seed(spec.seed)  # the adapter is drawn before the trainer sets its own seed
    rows = Dataset(table)
    if spec.packing:
        rows = pack_dataset(rows, spec.max_length, "bfd")
    trainer_class, config_class = _classes(spec.objective)
    device = next(model.parameters()).device
    options = training_arguments(spec, str(folder), device, compute, step_count(spec, len(rows)))
    more = {"ref_model": reference} if reference is not None else {}
    trainer = trainer_class(
        model=model,
        args=config_class(**options),
        train_dataset=rows,
        processing_class=tokenizer,
        peft_config=lora_config(spec, model),
        callbacks=callbacks,
        **more,
    )
    for parameter in trainer.model.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()
    trainer.remove_callback(PrinterCallback)
    trainer.optimizer_name = spec.optimizer
    trainer.learning_rate = spec.learning_rate
    trainer.has_loss_scaler = compute == torch.float16
    return trainer


def step_count(spec: FinetuneSpec, rows: int) -> int:
    """Say how many steps a training over `rows` rows takes."""
    batches = -(-rows // (spec.batch_size * spec.process_count))
    steps = max(1, -(-batches // spec.gradient_accumulation))
    return spec.max_steps or max(1, int(-(-(spec.epochs * steps) // 1)))


def _classes(objective: Objective) -> tuple[Any, Any]:
    if objective == "orpo":
        from .orpo_trainer import ORPOConfig, OurOrpo  # trl warns that it is experimental

        return OurOrpo, ORPOConfig
    return {
        "sft": (OurSft, SFTConfig),
        "dpo": (OurDpo, DPOConfig),
        "kto": (OurKto, KTOConfig),
        "reward": (OurReward, RewardConfig),
    }[objective]
