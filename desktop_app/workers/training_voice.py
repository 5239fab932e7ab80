"""What the trainer does, told as events; and what the user asks, done between two steps.

Measuring, sample answers and saving change nothing in the training: a run with more of them learns the same.
"""

import math
import time
from collections import deque
from collections.abc import Callable
from dataclasses import asdict
from itertools import pairwise
from statistics import pstdev
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from desktop_app.domain.event import InUse
from desktop_app.domain.finetune_spec import FinetuneSpec
from desktop_app.hardware.sleep import slept_s
from desktop_app.job_folder import Request

from .checkpoints import Checkpoints
from .finished import Summary
from .held_out import Best
from .ranks import Ranks
from .reporter import Reporter

# Without save_steps: what a crash can cost at most.
CHECKPOINT_GAP_S = 300.0
_RATE_STEPS = 20
_SAMPLE_ROUNDS = 10  # unless said, sample answers are taken so often in a run
_SHOWN = {
    "loss": "loss",
    "learning_rate": "learning_rate",
    "grad_norm": "grad_norm",
    "mean_token_accuracy": "accuracy",
    "rewards/chosen": "reward_chosen",
    "rewards/rejected": "reward_rejected",
    "rewards/margins": "reward_margin",
    "rewards/accuracies": "reward_accuracy",
    "accuracy": "reward_accuracy",
    "margin": "reward_margin",
    "mean_reward": "reward_mean",
    "kl": "kl",
}
Measure = Callable[[], dict[str, float]]


class TrainingVoice(TrainerCallback):
    """Callback of one training. `measure` is None without held-out rows, `sample` tells answers at a step."""

    def __init__(
        self,
        spec: FinetuneSpec,
        reporter: Reporter,
        checkpoints: Checkpoints,
        measure: Measure | None = None,
        sample: Callable[[int], None] | None = None,
        ranks: Ranks = Ranks(),
        in_use: Callable[[], Summary] = dict,
    ) -> None:
        self.final_loss: float | None = None
        self.has_stopped_early = False
        self.best = Best()
        self.trainer: Any = None
        self.resumed: dict[str, Any] = {}
        self._spec = spec
        self._reporter = reporter
        self._checkpoints = checkpoints
        self._measure = measure
        self._sample = sample
        self._ranks = ranks
        self._in_use = in_use
        self._saved_at = time.monotonic()
        self._slept_s = slept_s()
        # (time, step, tokens) of the latest steps
        self._pace: deque[tuple[float, int, int]] = deque(maxlen=_RATE_STEPS + 1)

    def go_on(self, manifest: dict[str, Any]) -> None:
        """Take up what a checkpoint says about what stands around the trainer."""
        self.resumed = manifest
        self.best = Best(**manifest.get("best", {}))
        self._checkpoints.best_step = self.best.step if self._spec.keep_best and self.best.step else None

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **more: Any
    ) -> None:
        """Start the clocks, after a checkpoint was loaded if there is one."""
        if "loss_sum" in self.resumed:
            self.trainer.take_up_loss(self.resumed["loss_sum"], self.resumed["last_logged"])
        self._reporter.emit(InUse, facts=self._in_use())
        self._saved_at = time.monotonic()
        self._mark(state)
        self._reporter.progress(state.global_step, state.max_steps, "step", epoch=state.epoch)
        if self._sample and not self.resumed:
            self._sample(0)

    def on_substep_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **more: Any
    ) -> None:
        """Look for a cancellation between the batches of one step, which may take minutes each."""
        self._reporter.heed_cancel()

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **more: Any) -> None:
        """Tell the progress, measure and save when it is time, do what is asked."""
        self._mark(state)
        self._tell_progress(state)
        held_since = time.monotonic()
        wanted = [self._reporter.has_taken(request) for request in (Request.MEASURE, Request.SAVE)]
        is_measured, is_saved = self._ranks.any_of(wanted)
        self._look_aside(state, control, is_measured)
        is_stopped = self._reporter.heed(state.global_step, self._ranks.any_of)
        if time.monotonic() - held_since > 1:
            self._pace.clear()  # a pause or a measurement is no slowness
            self._mark(state)
        if is_stopped and state.global_step < state.max_steps:
            self.has_stopped_early = True
            control.should_save = control.should_training_stop = True
        is_last = state.global_step >= state.max_steps
        gap_s = CHECKPOINT_GAP_S / 5 if is_last else CHECKPOINT_GAP_S
        is_due = self._spec.save_steps is None and self._ranks.first(time.monotonic() - self._saved_at > gap_s)
        if is_due or is_saved:
            control.should_save = True

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **more: Any,
    ) -> None:
        """Record the numbers of a step."""
        logs = logs or {}
        if "loss" not in logs:
            return  # the trainer's own summary at the end
        self.final_loss = float(logs["loss"])
        values = {shown: float(logs[name]) for name, shown in _SHOWN.items() if math.isfinite(logs.get(name, math.nan))}
        pace = self._rates(state)
        if pace is not None:
            values["tokens_per_s"], seconds = pace[0], pace[1]
            values["samples_per_s"] = self._spec.effective_batch / seconds
        self._reporter.metric(state.global_step, values)

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **more: Any) -> None:
        """Give the checkpoint its name once all have written their part and it passed its checks."""
        about = {} if self.best.step == 0 else {"best": asdict(self.best)}
        tokens, partial = self.trainer.tokens_seen(), self.trainer.partial_loss()
        partial["loss_sum"] = self._ranks.mean(partial["loss_sum"])  # which also waits for all
        if self._ranks.is_first:
            self._checkpoints.keep(state.global_step, tokens, **about, **partial)
        self._ranks.wait()
        self._saved_at = time.monotonic()

    def _look_aside(self, state: TrainerState, control: TrainerControl, is_asked: bool) -> None:
        """Measure and take samples where it is time or asked for; the last step is measured by others."""
        step, is_last = state.global_step, state.global_step >= state.max_steps
        every = self._spec.eval_steps
        is_due = bool(every) and step % (every or 1) == 0
        if self._measure is not None and (is_due or is_asked):
            values = self._ranks.first(self._measure())  # so that all decide the same
            self._reporter.metric(step, values)
            self._judge(values["eval_loss"], state, control)
        gap = self._spec.sample_steps or max(1, state.max_steps // _SAMPLE_ROUNDS)
        if self._sample and (is_asked or is_last or step % gap == 0):
            self._sample(step)

    def _judge(self, loss: float, state: TrainerState, control: TrainerControl) -> None:
        """Keep the best, and end where nothing became better for long enough."""
        is_best = self.best.note(state.global_step, loss)
        if is_best and self._spec.keep_best:
            self._checkpoints.best_step = state.global_step
            control.should_save = True
        patience = self._spec.early_stopping
        if patience and self.best.since >= patience and state.global_step < state.max_steps:
            control.should_save = control.should_training_stop = True
            self._reporter.notice(
                f"Ended at step {state.global_step:,}: the held-out loss was lowest at step {self.best.step:,} "
                f"({self.best.loss:.4g}) and did not fall below that in {patience} measurements."
            )

    def _mark(self, state: TrainerState) -> None:
        if slept_s() - self._slept_s > 1:  # time in which the computer slept is no slowness, where the clock counts it
            self._slept_s = slept_s()
            self._pace.clear()
        self._pace.append((time.monotonic(), state.global_step, self.trainer.tokens_seen()))

    def _tell_progress(self, state: TrainerState) -> None:
        pace = self._rates(state)
        left = state.max_steps - state.global_step
        self._reporter.progress(
            state.global_step,
            state.max_steps,
            "step",
            epoch=state.epoch,
            rate=None if pace is None else pace[0],
            rate_unit="" if pace is None else "token",
            eta_s=None if pace is None else left * pace[1],
            eta_spread_s=None if pace is None else self._spread_s(left),
        )

    def _rates(self, state: TrainerState) -> tuple[float, float] | None:
        """Tokens per second and seconds per step, by the latest steps."""
        first, last = self._pace[0], self._pace[-1]
        seconds, steps = last[0] - first[0], last[1] - first[1]
        if steps < 1 or seconds <= 0:
            return None
        return (last[2] - first[2]) / seconds, seconds / steps

    def _spread_s(self, left: int) -> float | None:
        """Two standard errors of the time that `left` steps take: of their sum, and of the mean it rests on."""
        times = [mark[0] for mark in self._pace]
        taken = [after - before for before, after in pairwise(times)]
        if len(taken) < 3:
            return None
        return 2 * pstdev(taken) * math.sqrt(left + left * left / len(taken))
