"""One training of an adapter, from the loaded model to the written file; everything that holds torch objects.

The model is released before its result is checked, so that the check needs no second place in memory.
"""

import gc
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from desktop_app.domain.finetune_spec import FinetuneSpec
from desktop_app.domain.model_facts import ModelFacts
from desktop_app.job_folder import JobFolder
from desktop_app.training_data.tokenization import Tokenization

from .adapter_result import Trained, remember, write_adapter
from .checkpoints import Checkpoints, step_of, tokens_of
from .device import chosen_device, chosen_dtype, device_name, dtype_name, peak_memory_bytes, use_threads
from .finished import Summary
from .loading import (
    linear_shapes,
    load_model,
    load_tokenizer,
    nf4_config,
    odd_shapes_sentence,
    quantization_in_use,
    skeleton,
    unquantized_modules,
)
from .measure import measured
from .reporter import Reporter
from .sft_trainer import make_trainer
from .token_rows import TokenRows
from .training_voice import TrainingVoice


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a training ended; `steps` are all steps of the adapter, those of earlier attempts included."""

    steps: int
    has_stopped_early: bool
    summary: Summary


class AdapterTraining:
    """Call `load`, `train`, `write`, `release` in this order; `fresh_base` at any time after `load`."""

    def __init__(self, spec: FinetuneSpec, facts: ModelFacts, reporter: Reporter) -> None:
        """Choose device and number format.

        Raises:
            AppError: this computer does not have what the spec asks for.
        """
        use_threads(spec.threads)
        self._spec = spec
        self._facts = facts
        self._reporter = reporter
        self._device = chosen_device(spec.device)
        self._dtype = chosen_dtype(spec.precision, self._device)
        self._quantization: Any = None
        self._model: Any = None
        self._tokenizer: Any = None
        self._trainer: Any = None

    def load(self, tokenization: Tokenization) -> None:
        """Load model and tokenizer.

        Raises:
            ModelError: they cannot be loaded.
        """
        if self._spec.method == "qlora":
            self._quantization = self._nf4()
        self._reporter.stage("Loading the model")
        self._model = self.fresh_base(lambda done, total: self._reporter.progress(done, total, "tensor"))
        self._tokenizer = load_tokenizer(Path(self._spec.model))
        if self._tokenizer.pad_token_id is None:
            # Padding is masked and never trained, so any token will do.
            self._tokenizer.pad_token = self._tokenizer.convert_ids_to_tokens(tokenization.pad_id or 0)

    def fresh_base(self, progress: Callable[[int, int], None] | None = None) -> Any:
        """Load the base model once more, in the same form as for the training."""
        return load_model(Path(self._spec.model), self._device, self._dtype, self._quantization, progress)

    def train(self, rows: TokenRows, held_out: TokenRows, job: JobFolder, data_fingerprint: str) -> Outcome:
        """Train from the start or from the newest checkpoint, and measure before and after.

        Raises:
            AppError: the numbers are no longer finite, or memory or disk are full.
            CancelledByUser: the user ended it.
        """
        checkpoints = Checkpoints(job, self._reporter, data_fingerprint)
        resume = checkpoints.newest()
        voice = TrainingVoice(
            self._spec, self._reporter, checkpoints, (lambda: self._loss_on(held_out)) if len(held_out) else None
        )
        self._trainer = make_trainer(self._spec, self._model, self._tokenizer, rows, checkpoints, voice)
        self._model = self._trainer.model
        before = self._loss_before(held_out, is_first=resume is None)
        if resume is not None:
            self._reporter.notice(f"Going on from the checkpoint at step {step_of(resume):,}.")
            self._trainer.start_counting_at(tokens_of(resume))
        self._reporter.stage("Training")
        started, tokens = time.monotonic(), self._trainer.tokens_seen()
        self._trainer.train(resume_from_checkpoint=None if resume is None else str(resume))
        seconds = time.monotonic() - started
        checkpoints.discard_aside()
        state = self._trainer.state
        after = self._loss_on(held_out) if len(held_out) and state.global_step else None
        if after is not None:
            self._reporter.metric(state.global_step, {"eval_loss": after})
        summary: Summary = {
            "steps": state.global_step,
            "epochs": round(state.epoch or 0.0, 3),
            "tokens": self._trainer.tokens_seen(),
            "seconds": round(seconds, 2),
            "tokens_per_s": round((self._trainer.tokens_seen() - tokens) / seconds, 1),
            "final_loss": voice.final_loss,
            "eval_loss_before": before,
            "eval_loss_after": after,
            **self._in_use(),
        }
        return Outcome(steps=state.global_step, has_stopped_early=voice.has_stopped_early, summary=summary)

    def write(self, folder: Path, template: str, row: dict[str, list[int]]) -> Trained:
        """Save adapter and tokenizer, and note what the trained model is known by."""
        trained = remember(self._model, row)
        write_adapter(folder, self._model, self._tokenizer, template)
        return trained

    def release(self) -> None:
        """Give the memory of the trained model back."""
        self._trainer = self._model = None
        gc.collect()
        if self._device.type == "cuda":
            torch.cuda.empty_cache()

    def _nf4(self) -> Any:
        if self._facts.quantization:
            self._reporter.notice(f"The model is quantized already ({self._facts.quantization}); it is used as it is.")
            return None
        bare = skeleton(Path(self._spec.model))
        kept, odd = unquantized_modules(bare, "nf4")
        if odd:
            self._reporter.notice(odd_shapes_sentence(odd, linear_shapes(bare)), "warning")
        return nf4_config(self._dtype, [*kept, *odd])

    def _loss_before(self, held_out: TokenRows, is_first: bool) -> float | None:
        """Measure with the untrained adapter, which changes nothing: so it is the base model's loss."""
        if not len(held_out):
            return None
        self._reporter.stage("Measuring before the training")
        loss = self._loss_on(held_out)
        if is_first:
            self._reporter.metric(0, {"eval_loss": loss})
        return loss

    def _loss_on(self, rows: TokenRows) -> float:
        return measured(self._model, rows, look=self._reporter.heed_cancel).loss

    def _in_use(self) -> Summary:
        """What was really used, whatever was asked for."""
        trainable = [parameter for parameter in self._model.parameters() if parameter.requires_grad]
        return {
            "trainable_parameters": sum(parameter.numel() for parameter in trainable),
            "peak_bytes": peak_memory_bytes(self._device),
            "device": device_name(self._device),
            "dtype": dtype_name(self._dtype),
            "adapter_dtype": ", ".join(sorted({dtype_name(parameter.dtype) for parameter in trainable})),
            "quantization": quantization_in_use(self._model),
            "attention": str(getattr(self._model.config, "_attn_implementation", "")),
        }
