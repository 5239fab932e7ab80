"""One training, from the loaded model to the written file; everything that holds torch objects.

The model is released before its result is checked, so that the check needs no second place in memory.
"""

import gc
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import set_seed

from desktop_app.domain.finetune_spec import FinetuneSpec
from desktop_app.domain.model_facts import ModelFacts
from desktop_app.errors import JobError
from desktop_app.job_folder import JobFolder
from desktop_app.result_folder import read_manifest
from desktop_app.training_data.tokenization import Tokenization

from .answer_rows import AnswerRows
from .checkpoints import Checkpoints, step_of, tokens_of
from .device import chosen_device, chosen_dtype, device_name, dtype_name, peak_memory_bytes, use_threads
from .finished import Summary
from .full_result import round_weights, saved_dtype
from .held_out import HeldOut
from .loading import load_model, load_tokenizer, quantization_in_use
from .packing import packing_problem
from .pissa import Start, adapter_start
from .quantized_base import base_quantization
from .ranks import Ranks
from .reporter import Reporter
from .samples import Samples
from .sharding import trained_weights, whole_model
from .token_rows import TokenRows
from .trainers import make_trainer
from .training_arguments import leaves_experts_out
from .training_voice import TrainingVoice

Rows = TokenRows | AnswerRows


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a training ended; `steps` are all steps, those of earlier attempts included."""

    steps: int
    has_stopped_early: bool
    summary: Summary


class Training:
    """Call `load`, `train`, then use `model`, then `release`; `fresh_base` at any time after `load`."""

    def __init__(self, spec: FinetuneSpec, facts: ModelFacts, reporter: Reporter) -> None:
        """Choose device and number format.

        Raises:
            AppError: this computer does not have what the spec asks for.
        """
        use_threads(spec.threads)
        self._spec = spec
        self._facts = facts
        self._reporter = reporter
        self.device = chosen_device(spec.device, Ranks.of_environment().local)
        self._compute = chosen_dtype(spec.precision, self.device)
        # Weights that are trained themselves are held in fp32: in 16 bits small steps would be lost.
        self._dtype = self._compute if spec.is_adapter else torch.float32
        self._quantization: Any = None
        self._trainer: Any = None
        self._reference: Any = None
        self._ranks = Ranks.of_environment()
        self.model: Any = None
        self.tokenizer: Any = None
        self.start: Start | None = None

    def load(self, tokenization: Tokenization) -> None:
        """Load model and tokenizer.

        Raises:
            ModelError: they cannot be loaded.
        """
        self._quantization = base_quantization(self._spec, self._facts, self._dtype, self._reporter)
        self._reporter.stage("Loading the model")
        self.model = self.fresh_base(lambda done, total: self._reporter.progress(done, total, "tensor"))
        self.tokenizer = load_tokenizer(Path(self._spec.model))
        if self.tokenizer.pad_token_id is None:
            # Padding is masked and never trained, so any token will do.
            self.tokenizer.pad_token = self.tokenizer.convert_ids_to_tokens(tokenization.pad_id or 0)
        self.model.config.pad_token_id = self.tokenizer.pad_token_id  # where a reward model finds the last token
        if self._spec.packing or self._spec.padding_free:
            self._check_packing()

    def fresh_base(self, progress: Callable[[int, int], None] | None = None) -> Any:
        """Load the base model once more, in the same form as for the training."""
        set_seed(self._spec.seed)  # a reward model's last layer is new
        return load_model(
            Path(self._spec.model),
            self.device,
            self._dtype,
            self._quantization,
            progress,
            is_scorer=self._spec.objective == "reward",
        )

    def attach(self, rows: Rows, aside: Path, *callbacks: Any) -> Any:
        """Attach what is trained to the model, and return trl's trainer, which writes nowhere but into `aside`."""
        spec = self._spec
        if spec.needs_reference:
            self._reporter.stage("Loading the reference model")
            self._reference = self.fresh_base()
        if spec.is_adapter and leaves_experts_out(spec, self.model):
            self._reporter.notice("The adapter is on the attention layers; the experts stay as they are.")
        self._trainer = make_trainer(
            spec, self.model, self.tokenizer, rows.table(), aside, self._compute, [*callbacks], self._reference
        )
        self.model = self._trainer.model
        return self._trainer

    def train(
        self, rows: Rows, held_out: Rows, job: JobFolder, data_fingerprint: str, tokenization: Tokenization
    ) -> Outcome:
        """Train from the start or from the newest checkpoint, and measure before and after.

        Raises:
            AppError: the numbers are no longer finite, or memory or disk are full.
            CancelledByUser: the user ended it.
        """
        spec, reporter = self._spec, self._reporter
        measuring = HeldOut(spec, held_out, reporter.heed_cancel)
        samples = Samples(spec, tokenization, self.tokenizer, reporter)
        aside = job.checkpoints_dir / ".aside"
        trainer = self.attach(rows, aside)
        measuring.reference = self._reference
        self.start = adapter_start(spec, self.model)
        checkpoints = self._checkpoints(job, data_fingerprint)
        assert checkpoints.aside == aside
        voice = TrainingVoice(
            spec,
            reporter,
            checkpoints,
            (lambda: measuring.measure(self.model)) if len(measuring) else None,
            (lambda step: samples.tell(self.model, step))
            if len(samples) and (self._ranks.is_first or spec.is_sharded)
            else None,
            self._ranks,
            self._in_use,
        )
        voice.trainer = trainer
        trainer.add_callback(voice)
        resume = self._resumed(checkpoints)
        before = self._measured_before(measuring, is_first=resume is None)
        scores_before = measuring.row_scores
        if spec.checkpoint:
            used, summary = self._of_checkpoint(checkpoints.checked(Path(spec.checkpoint)))
        else:
            used, summary = self._stepped(resume, checkpoints, voice)
        in_use = self._in_use()
        if spec.is_sharded:
            self._make_whole()
        if not spec.is_adapter and self._ranks.is_first:
            round_weights(self.model, saved_dtype(Path(spec.model)))
        after = measuring.measure(self.model) if len(measuring) and self._ranks.is_first else {}
        steps = int(summary["steps"] or 0)
        if after and used == steps:
            reporter.metric(steps, after)
        if after:
            voice.best.note(used, after["eval_loss"])
            summary |= _worse_rows(scores_before, measuring.row_scores)
        summary |= _before_and_after(before, after)
        return Outcome(
            steps=steps,
            has_stopped_early=voice.has_stopped_early,
            summary={**summary, "result_step": used, **in_use},
        )

    def release(self) -> None:
        """Give the memory of the trained model back."""
        self._trainer = self._reference = self.model = None
        gc.collect()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    def _checkpoints(self, job: JobFolder, data_fingerprint: str) -> Checkpoints:
        spec = self._spec
        return Checkpoints(
            job,
            self._reporter,
            data_fingerprint,
            spec.keep_checkpoints,
            optimizer=spec.optimizer,
            max_length=spec.max_length,
            adapter_start=None if self.start is None else self.start.digest,
            is_writer=self._ranks.is_first,
        )

    def _check_packing(self) -> None:
        """Look whether this model keeps packed examples apart, and pack nothing if it does not."""
        problem = packing_problem(self.model)
        if problem:
            self._reporter.notice(f"Examples are not packed: {problem}", "warning")
            self._spec = self._spec.model_copy(update={"packing": False, "padding_free": False})

    def _resumed(self, checkpoints: Checkpoints) -> Path | None:
        """The newest checkpoint of the first process; the others must have the same, if there is one."""
        own = checkpoints.newest()
        step = self._ranks.first(-1 if own is None else step_of(own))
        if step < 0:
            return None
        folder = checkpoints.at(step)
        if not folder.is_dir():
            raise JobError(
                f"The checkpoint at step {step:,} is on another computer only, so this one cannot go on.",
                f"Copy the folder to {folder}, or let the computers share it.",
            )
        return folder

    def _stepped(self, resume: Path | None, checkpoints: Checkpoints, voice: TrainingVoice) -> tuple[int, Summary]:
        """Train; return the step whose weights are the result, and the figures of the way there."""
        trainer = self._trainer
        if resume is not None:
            self._reporter.notice(f"Going on from the checkpoint at step {step_of(resume):,}.")
            trainer.start_counting_at(tokens_of(resume))
            voice.go_on(read_manifest(resume))
        self._reporter.stage("Training")
        started, tokens = self._reporter.worked_s(), trainer.tokens_seen()
        trainer.train(resume_from_checkpoint=None if resume is None else str(resume))
        seconds = self._reporter.worked_s() - started
        self._ranks.wait()  # at its end each trainer lists what lies aside
        if self._ranks.is_first:
            checkpoints.discard_aside()
        summary = {**self._pace(seconds, tokens), "final_loss": voice.final_loss}
        if resume is not None:
            summary["first_step"] = step_of(resume)
        return self._use_best(checkpoints, voice), summary

    def _of_checkpoint(self, folder: Path) -> tuple[int, Summary]:
        """Take the weights of a checkpoint in place of training."""
        step = step_of(folder)
        self._reporter.stage(f"Taking the checkpoint at step {step:,}")
        self._trainer._load_from_checkpoint(str(folder))
        return step, {"steps": step, "tokens": tokens_of(folder)}

    def _make_whole(self) -> None:
        """Bring the parts of the weights together in the first process, as if it had trained alone."""
        self._reporter.stage("Bringing the weights together")
        weights = trained_weights(self.model)
        self._trainer.model = self._trainer.model_wrapped = self._trainer.optimizer = self.model = None
        self._trainer.accelerator.free_memory()
        gc.collect()
        if self._ranks.is_first:
            self.model = whole_model(self._spec, self.fresh_base(), weights)

    def _use_best(self, checkpoints: Checkpoints, voice: TrainingVoice) -> int:
        """Go back to the weights with the lowest held-out loss, if the user wants those; return their step."""
        last: int = self._trainer.state.global_step
        best = checkpoints.best() if self._spec.keep_best and self._ranks.is_first else None
        if self._spec.is_sharded:  # all load their part of it
            step = self._ranks.first(None if best is None else step_of(best))
            best = None if step is None else checkpoints.at(step)
        if best is None or step_of(best) == last:
            return last
        self._trainer._load_from_checkpoint(str(best))
        self._reporter.notice(
            f"The result is that of step {step_of(best):,}, where the held-out loss was lowest ({voice.best.loss:.4g})."
        )
        return step_of(best)

    def _measured_before(self, measuring: HeldOut, is_first: bool) -> dict[str, float]:
        """Measure with the untrained adapter, which changes nothing: so it is the base model's loss."""
        if not len(measuring):
            return {}
        self._reporter.stage("Measuring before the training")
        found = measuring.measure(self.model)
        if is_first:
            self._reporter.metric(0, found)
        return found

    def _pace(self, seconds: float, tokens: int) -> Summary:
        state = self._trainer.state
        seen = self._trainer.tokens_seen()
        return {
            "steps": state.global_step,
            "planned_steps": state.max_steps,
            "epochs": round(state.epoch or 0.0, 3),
            "tokens": seen,
            "seconds": round(seconds, 2),
            "tokens_per_s": round((seen - tokens) / seconds, 1),
        }

    def _in_use(self) -> Summary:
        """What was really used, whatever was asked for."""
        trainable = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        formats = ", ".join(sorted({dtype_name(parameter.dtype) for parameter in trainable}))
        return {
            "trainable_parameters": sum(parameter.numel() for parameter in trainable),
            "peak_bytes": peak_memory_bytes(self.device),
            "device": device_name(self.device),
            "dtype": dtype_name(self._dtype),
            "compute_dtype": dtype_name(self._compute),
            "adapter_dtype" if self._spec.is_adapter else "trained_dtype": formats,
            "quantization": quantization_in_use(self.model),
            "attention": str(getattr(self.model.config, "_attn_implementation", "")),
            "packing": self._spec.packing,
            "optimizer": optimizer_name(self._trainer.optimizer) if self._trainer.optimizer is not None else "",
            "wrapper": type(self._trainer.model_wrapped).__name__,
            "world_size": self._trainer.args.world_size,
        }


def optimizer_name(wrapped: Any) -> str:
    """Name the optimizer that really runs, with the size of its memory where it is a quantized one."""
    optimizer = getattr(wrapped, "optimizer", wrapped)
    bits = getattr(getattr(optimizer, "args", None), "optim_bits", 32)
    words = [f"{bits} bits"] * (bits != 32) + ["paged"] * bool(getattr(optimizer, "is_paged", False))
    return type(optimizer).__name__ + (f" ({', '.join(words)})" if words else "")


def _worse_rows(before: tuple[float, ...], after: tuple[float, ...]) -> Summary:
    """Count the held-out rows on which the result is worse than what it began with."""
    return {"worse_rows": sum(b - a < -1e-6 for b, a in zip(before, after, strict=True))} if before else {}


def _before_and_after(before: dict[str, float], after: dict[str, float]) -> Summary:
    found: Summary = {"eval_loss_before": before.get("eval_loss"), "eval_loss_after": after.get("eval_loss")}
    for name in ("eval_accuracy", "eval_margin"):
        if name in after:
            found |= {f"{name}_before": before.get(name), f"{name}_after": after[name]}
    return found
