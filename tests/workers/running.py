"""Run a job in this process and look at what it left: importing torch anew takes longer than these jobs."""

import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from desktop_app.domain.event import AnyEvent
from desktop_app.domain.spec import parse_spec
from desktop_app.job_folder import JobFolder, create_job_folder
from desktop_app.paths import demo_data, demo_model
from desktop_app.workers.run import run_worker

DEMO_MODEL = demo_model()
DEMO_DATA = demo_data()
ROOT = Path(__file__).resolve().parents[2]


class Ran:
    """A job that was run: its folder, exit code and events."""

    def __init__(self, folder: JobFolder, code: int) -> None:
        self.folder = folder
        self.code = code
        self.events: tuple[AnyEvent, ...] = folder.read_events().events

    @property
    def last(self) -> Any:
        return self.events[-1]

    @property
    def result(self) -> Path:
        assert self.last.kind == "succeeded", self.last
        return Path(self.last.result)

    def of_kind(self, kind: str) -> list[Any]:
        return [event for event in self.events if event.kind == kind]


def new_job(parent: Path, **spec: Any) -> JobFolder:
    number = len(list(parent.glob("job-*")))
    return create_job_folder(parent, f"job-{number}", parse_spec(spec))


def run_job(parent: Path, **spec: Any) -> Ran:
    job = new_job(parent, **spec)
    return Ran(job, run_worker(job.path))


def training(**more: Any) -> dict[str, Any]:
    """A short fine-tuning of the demo model."""
    small = {"max_steps": 4, "rank": 8, "learning_rate": 1e-3, "max_length": 128, "threads": 1, "device": "cpu"}
    return {"kind": "finetune", "model": str(DEMO_MODEL), "data": str(DEMO_DATA), **small, **more}


def quantization(method: str, **more: Any) -> dict[str, Any]:
    return {"kind": "quantize", "model": str(DEMO_MODEL), "method": method, "threads": 1, "device": "cpu", **more}


def when(condition: Callable[[], bool], then: Callable[[], object], timeout_s: float = 240) -> threading.Thread:
    """Do something as soon as a condition holds, beside the job that runs in this thread."""

    def watch() -> None:
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            if condition():
                then()
                return
            time.sleep(0.02)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    return thread


def has_reached(job: JobFolder, step: int) -> Callable[[], bool]:
    return lambda: any(
        event.kind == "progress" and event.unit == "step" and event.done >= step for event in job.read_events().events
    )


def fresh_python(program: str, *arguments: str) -> list[str]:
    """Command line of an interpreter that does not see our code."""
    return [sys.executable, "-I", "-c", program, *arguments]
