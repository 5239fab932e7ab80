"""What the trainer does, told as events; and what the user asks, done between two steps.

Also the guard against numbers that are no longer finite, which the trainer itself would show as a loss of 0.
"""

import math
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from desktop_app.domain.finetune_spec import FinetuneSpec
from desktop_app.errors import SpecError

from .checkpoints import Checkpoints
from .reporter import Reporter

# Without save_steps: what a crash can cost at most.
CHECKPOINT_GAP_S = 300.0
_RATE_STEPS = 20
_SHOWN = {"loss": "loss", "learning_rate": "learning_rate", "grad_norm": "grad_norm", "mean_token_accuracy": "accuracy"}


class TrainingVoice(TrainerCallback):
    """Callback of one training; `tokens_seen` tells the tokens read so far, `held_out_loss` measures."""

    def __init__(
        self,
        spec: FinetuneSpec,
        reporter: Reporter,
        checkpoints: Checkpoints,
        held_out_loss: Callable[[], float] | None,
    ) -> None:
        self.tokens_seen: Callable[[], int] = lambda: 0
        self.final_loss: float | None = None
        self.has_stopped_early = False
        self.has_loss_scaler = False
        self._spec = spec
        self._reporter = reporter
        self._checkpoints = checkpoints
        self._held_out_loss = held_out_loss
        self._saved_at = time.monotonic()
        # (time, step, tokens) of the latest steps
        self._pace: deque[tuple[float, int, int]] = deque(maxlen=_RATE_STEPS + 1)

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **more: Any
    ) -> None:
        """Start the clocks, after a checkpoint was loaded if there is one."""
        self._saved_at = time.monotonic()
        self._mark(state)
        self._reporter.progress(state.global_step, state.max_steps, "step", epoch=state.epoch)

    def on_substep_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **more: Any
    ) -> None:
        """Look for a cancellation between the batches of one step, which may take minutes each."""
        self._reporter.heed_cancel()

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **more: Any) -> None:
        """Tell the progress, measure and save when it is time, do what is asked."""
        self._mark(state)
        rate, eta_s = self._rate(state)
        self._reporter.progress(
            state.global_step,
            state.max_steps,
            "step",
            epoch=state.epoch,
            rate=rate,
            rate_unit="token" if rate is not None else "",
            eta_s=eta_s,
        )
        every = self._spec.eval_steps
        if self._held_out_loss is not None and every and state.global_step % every == 0:
            self._reporter.metric(state.global_step, {"eval_loss": self._held_out_loss()})
        held_since = time.monotonic()
        is_stopped = self._reporter.heed(state.global_step)
        if time.monotonic() - held_since > 1:
            self._pace.clear()  # a pause is no slowness
            self._mark(state)
        if is_stopped and state.global_step < state.max_steps:
            self.has_stopped_early = True
            control.should_save = control.should_training_stop = True
        is_last = state.global_step >= state.max_steps
        gap_s = CHECKPOINT_GAP_S / 5 if is_last else CHECKPOINT_GAP_S
        if self._spec.save_steps is None and time.monotonic() - self._saved_at > gap_s:
            control.should_save = True

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **more: Any,
    ) -> None:
        """Record the numbers of a step, and stop where they are no longer numbers.

        Raises:
            SpecError: loss or gradient is not finite.
        """
        logs = logs or {}
        if "loss" not in logs:
            return  # the trainer's own summary at the end
        self._check_finite(state.global_step, logs)
        self.final_loss = float(logs["loss"])
        values = {shown: float(logs[name]) for name, shown in _SHOWN.items() if math.isfinite(logs.get(name, math.nan))}
        rate, _ = self._rate(state)
        if rate is not None:
            values["tokens_per_s"] = rate
        self._reporter.metric(state.global_step, values)

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **more: Any) -> None:
        """Give the checkpoint its name once it passed its checks."""
        self._checkpoints.keep(state.global_step, self.tokens_seen())
        self._saved_at = time.monotonic()

    def _mark(self, state: TrainerState) -> None:
        self._pace.append((time.monotonic(), state.global_step, self.tokens_seen()))

    def _rate(self, state: TrainerState) -> tuple[float | None, float | None]:
        """Tokens per second and seconds left, by the latest steps."""
        first, last = self._pace[0], self._pace[-1]
        seconds, steps = last[0] - first[0], last[1] - first[1]
        if steps < 1 or seconds <= 0:
            return None, None
        return (last[2] - first[2]) / seconds, (state.max_steps - state.global_step) * seconds / steps

    def _check_finite(self, step: int, logs: dict[str, Any]) -> None:
        for name in ("loss", "grad_norm"):
            value = float(logs.get(name, 0.0))
            # With fp16 the loss scaler makes single gradients overflow on purpose and leaves those steps out.
            if math.isfinite(value) or (name == "grad_norm" and self.has_loss_scaler):
                continue
            what = "The loss" if name == "loss" else "The gradient"
            raise SpecError(
                f"{what} is no longer a number at step {step} ({value}); the training was stopped.",
                f"Try a lower learning_rate (it is {self._spec.learning_rate:g}), or bf16 or fp32 instead of fp16.",
                "learning_rate",
            )
