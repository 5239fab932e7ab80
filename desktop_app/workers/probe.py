"""A few steps of a training, with the real model and real rows, for their time and memory; nothing is kept.

A worker by its libraries, a service by how it is spoken to, as Chat: its owner ends it at any moment, and whatever it
held goes with the process. The longest rows come first, for the memory; then rows as they come, for the rate.
"""

import os
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from desktop_app import paths
from desktop_app.domain.data_choice import DataChoice
from desktop_app.domain.event import Event
from desktop_app.domain.finetune_spec import FinetuneSpec
from desktop_app.domain.probe import Probe
from desktop_app.errors import HardwareError
from desktop_app.os_lock import OsLock
from desktop_app.process import identity_of, prefer_as_memory_victim, wait_until
from desktop_app.serving import Cancelled, Teller, serve
from desktop_app.training_data.examples import examples_of
from desktop_app.training_data.tokenization import Tokenization

from .architecture_walk import walk
from .finetune import Rows, tokenized_rows
from .foreign_errors import foreign_errors_in_words
from .memory_cap import leave_before_memory_is_full
from .preflight import base_model_facts, check_device, check_method, check_precision
from .reporter import Reporter
from .triton_kernels import leave_out_triton_where_it_cannot_build

if TYPE_CHECKING:
    from .step_clock import StepTime

ROWS_READ = 2000
_LONGEST_STEPS = 2  # the first of which only warms up
_MOST_STEPS = 40
_STEPS_S = 8.0
_LOCK_S = 3.0


def run_probe() -> int:
    """Measure until the owner is gone; return the exit code."""
    prefer_as_memory_victim(identity_of(os.getpid(), ""))
    threading.Thread(target=leave_before_memory_is_full, name="memory", daemon=True).start()
    leave_out_triton_where_it_cannot_build()
    return serve(_methods)


def _methods() -> Mapping[str, Callable[..., Any]]:
    return {"probe": probe, "walk": walk}


def probe(spec: dict[str, Any], progress: Teller, limit_s: float = _STEPS_S) -> dict[str, Any]:
    """Train a few steps of a FinetuneSpec, by one process; the answer is a Probe, progress carries {"stage"}.

    `limit_s`: no step is begun after so many seconds of steps; to load the model comes before them.

    Raises:
        AppError: model, data or settings cannot be trained, memory is full, or another measurement goes on.
    """
    asked = FinetuneSpec.model_validate(spec)
    with OsLock(paths.probe_lock()) as lock:
        if not wait_until(lock.acquire, _LOCK_S):  # the supervisor holds it for a moment to see whether it is free
            raise HardwareError("Another measurement goes on on this computer.", "Wait until it has ended.")
        with foreign_errors_in_words(), tempfile.TemporaryDirectory() as scratch:
            return _probed(asked, _Voice(progress), Path(scratch), limit_s).model_dump(mode="json")


class _Voice(Reporter):
    """Tells the owner what is being done; there is no job folder to write to."""

    def __init__(self, progress: Teller) -> None:
        self._progress = progress
        self._since = time.monotonic()

    def emit(self, kind: type[Event], **fields: Any) -> None:
        """Nothing is recorded."""

    def stage(self, text: str) -> None:
        """Say what is being done now."""
        self._progress.stream(stage=text)

    def notice(self, text: str, level: Literal["info", "warning"] = "info") -> None:
        """The training itself will say it."""

    def progress(self, done: float, total: float, unit: str, **more: Any) -> None:
        """Say how far it is, so that nobody takes it for hung."""
        self.heed_cancel()
        self._progress(int(done), int(total), unit=unit)

    def heed_cancel(self) -> None:
        """End if the owner asked for it."""
        if self._progress.is_cancelled:
            raise Cancelled


def _probed(asked: FinetuneSpec, voice: _Voice, scratch: Path, limit_s: float) -> Probe:
    check_device(asked.device)
    check_precision(asked)
    facts = base_model_facts(Path(asked.model))
    check_method(asked, facts)
    voice.stage("Reading the data")
    tokenization = Tokenization(Path(asked.model), asked.train_on, asked.chat_template, asked.stride)
    choice = DataChoice.of(asked)
    examples = examples_of(choice.model_copy(update={"max_rows": min(ROWS_READ, choice.max_rows or ROWS_READ)}))
    max_length = min(asked.max_length, facts.context_length or asked.max_length)
    rows = tokenized_rows(examples, tokenization, max_length, asked, voice).rows
    spec = _short(asked)
    voice.stage("Loading PyTorch")
    from .device import device_name, peak_memory_bytes  # imports torch
    from .step_clock import StepClock
    from .training import Training

    session = Training(spec, facts, voice)
    session.load(tokenization)
    clock = StepClock(session.device, limit_s, lambda steps: voice.progress(steps, _MOST_STEPS, "step"))
    trainer = session.attach(_in_order(rows, spec), scratch, clock)
    trainer.args.train_sampling_strategy = "sequential"
    clock.trainer = trainer
    voice.stage("Measuring")
    trainer.train()
    least, usual, most = _rates(asked, spec, clock.steps)
    return Probe(
        tokens_per_s=usual,
        least_tokens_per_s=least,
        most_tokens_per_s=most,
        peak_bytes=peak_memory_bytes(session.device),
        longest=rows.longest if not asked.packing else max_length,
        rows_read=examples.row_count,
        row_tokens=rows.token_count / len(rows),
        steps=len(clock.steps),
        seconds=round(sum(step.batches_s + step.optimizer_s for step in clock.steps), 2),
        device=device_name(session.device),
    )


def _short(spec: FinetuneSpec) -> FinetuneSpec:
    """The same step, but for a training of a few of them that measures, saves and answers nothing.

    Two batches are enough for the memory of a step that adds up more: gradients stay while the second is read.
    """
    return spec.model_copy(
        update={
            "gradient_accumulation": min(2, spec.gradient_accumulation),
            "max_steps": _MOST_STEPS,
            "logging_steps": _MOST_STEPS,
            "processes": 1,
            "nodes": 1,
            **dict.fromkeys(("save_steps", "eval_steps", "early_stopping", "checkpoint")),
            "keep_best": False,
            "sample_prompts": (),
        }
    )


def _in_order(rows: Rows, spec: FinetuneSpec) -> Rows:
    """The longest rows for the first steps, then rows from all over the data; each as often as it takes."""
    lengths = rows.lengths
    longest = sorted(range(len(rows)), key=lambda row: -lengths[row])
    each = spec.batch_size * spec.gradient_accumulation
    gap = max(1, len(rows) // (each * (_MOST_STEPS - _LONGEST_STEPS)))
    first = [longest[place % len(longest)] for place in range(each * _LONGEST_STEPS)]
    rest = [(place * gap) % len(rows) for place in range(each * (_MOST_STEPS - _LONGEST_STEPS))]
    return rows.picked(first + rest)


def _rates(asked: FinetuneSpec, done: FinetuneSpec, steps: Sequence["StepTime"]) -> tuple[float, float, float]:
    """Tokens per second at least, usually and at most, in steps that add up as many batches as were asked for."""
    batches = done.gradient_accumulation / asked.gradient_accumulation
    longest = _rate(steps[1:_LONGEST_STEPS] or steps, batches)
    usual_steps = steps[_LONGEST_STEPS:]
    usual = _rate(usual_steps, batches) if usual_steps else longest
    spread = 1.1 if len(usual_steps) > 2 else 1.5
    each = [asked.process_count * rate for rate in (min(longest, usual) / spread, usual, max(longest, usual) * spread)]
    return each[0], each[1], each[2]


def _rate(steps: Sequence["StepTime"], batches: float) -> float:
    seconds = sum(step.batches_s + step.optimizer_s * batches for step in steps)
    return sum(step.tokens for step in steps) / max(seconds, 1e-9)
