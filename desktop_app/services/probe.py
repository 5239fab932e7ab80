"""The owner's side of the short measurement: when it may run, how it is stopped, what its sudden end means."""

import threading
from collections.abc import Callable, Iterable
from typing import Any

from desktop_app.domain.finetune_spec import FinetuneSpec
from desktop_app.domain.job import KINDS_THAT_GO_ON, Job, JobState
from desktop_app.domain.probe import Probe
from desktop_app.errors import JobError, MemoryShortage

from .client import CallCancelled, Service, ServiceDied

_SILENCE_S = 600.0  # one batch of a large model on a slow processor
# Killed for want of memory: by the system, by the process itself, and as Windows says it (STATUS_NO_MEMORY).
_NO_MEMORY = (-9, 137, 0xC0000017)


class Prober:
    """One measurement at a time. `probe` blocks and is called in a thread, `stop` from anywhere."""

    def __init__(self, service: Service | None = None) -> None:
        self._service = service or Service("probe", idle_s=1.0)
        self._is_stopped = threading.Event()

    def probe(
        self, spec: FinetuneSpec, jobs: Iterable[Job], on_stage: Callable[[str], object] = lambda stage: None
    ) -> Probe:
        """Train a few steps of a spec, whose paths are absolute, in a process of its own.

        Raises:
            JobError: a job computes or holds memory, beside which nothing can be measured.
            MemoryShortage: it does not fit.
            CallCancelled: `stop` was called.
            AppError: in words why it cannot be trained.
        """
        check_quiet(jobs)
        self._is_stopped.clear()
        try:
            found = self._service.call(
                "probe", _SILENCE_S, lambda said: _hear(said, on_stage), spec=spec.model_dump(mode="json")
            )
        except ServiceDied as death:
            if self._is_stopped.is_set():
                raise CallCancelled("The measurement was stopped.", "Measure again when you want it.") from None
            if death.exit_code in _NO_MEMORY:
                raise MemoryShortage(
                    "It does not fit: the measurement was ended because the computer's memory was full.",
                    "Choose a smaller batch, shorter examples, activation checkpointing or QLoRA.",
                ) from death
            raise
        finally:
            self._service.close()  # its memory is wanted back at once
        return Probe.model_validate(found)

    def stop(self) -> None:
        """End the measurement that goes on, if there is one, and with it all the memory that it took."""
        self._is_stopped.set()
        self._service.close()


def check_quiet(jobs: Iterable[Job]) -> None:
    """Refuse to measure beside a job: both would be slower than they are, and memory could run out under it.

    Raises:
        JobError: naming the job.
    """
    for job in jobs:
        if job.kind not in KINDS_THAT_GO_ON and job.state in (JobState.RUNNING, JobState.PAUSED):
            what = "is paused and keeps its memory" if job.state is JobState.PAUSED else "is at work"
            raise JobError(f"{job.name} {what}; beside it a measurement would be wrong.", "Measure when it has ended.")


def _hear(said: dict[str, Any], on_stage: Callable[[str], object]) -> None:
    if "stage" in said:
        on_stage(said["stage"])
    elif said.get("unit") == "step":
        on_stage(f"Measuring, {said['done']} steps")
