"""Times the steps of a short training, batches apart from the optimizer, and ends it when it has seen enough."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments


@dataclass(frozen=True, slots=True, kw_only=True)
class StepTime:
    """What one step took: all its batches, the optimizer, in seconds; and the tokens that it read."""

    batches_s: float
    optimizer_s: float
    tokens: int


class StepClock(TrainerCallback):
    """Callback of one training; set `trainer` before it begins."""

    def __init__(
        self, device: torch.device, limit_s: float, look: Callable[[int], object] = lambda steps: None
    ) -> None:
        """End after `limit_s` seconds of steps; `look` is called with how many there were, and may raise."""
        self.trainer: Any = None
        self.steps: list[StepTime] = []
        self._device = device
        self._limit_s = limit_s
        self._look = look
        self._began = self._ready = 0.0
        self._tokens = 0

    def on_step_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **more: Any) -> None:
        """A step begins."""
        self._began, self._tokens = self._now(), self.trainer.tokens_seen()

    def on_substep_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **more: Any
    ) -> None:
        """Between two batches of a step, which may take long: let the owner hear of it."""
        self._look(len(self.steps))

    def on_pre_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **more: Any
    ) -> None:
        """All gradients are there."""
        self._ready = self._now()

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **more: Any) -> None:
        """The weights have moved."""
        now, tokens = self._now(), self.trainer.tokens_seen()
        self.steps.append(
            StepTime(batches_s=self._ready - self._began, optimizer_s=now - self._ready, tokens=tokens - self._tokens)
        )
        self._look(len(self.steps))
        if sum(step.batches_s + step.optimizer_s for step in self.steps) > self._limit_s:
            control.should_training_stop = True

    def _now(self) -> float:
        """A GPU works on after it was told what to do: wait for it."""
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        return time.monotonic()
