"""Note every two seconds how busy the computer is while a job runs, in the job's `machine.jsonl`."""

import threading
from types import TracebackType

from desktop_app.errors import StorageError
from desktop_app.hardware.sensors import machine_sample

from .reporter import Reporter, process_memory_bytes

SAMPLE_GAP_S = 2.0


class MachineLog:
    """Sample in a thread of its own as long as the `with` block lasts."""

    def __init__(self, reporter: Reporter, gap_s: float = SAMPLE_GAP_S) -> None:
        self._reporter = reporter
        self._gap_s = gap_s
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="machine log", daemon=True)

    def __enter__(self) -> "MachineLog":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_over.set()
        self._thread.join(timeout=2 * self._gap_s)

    def _run(self) -> None:
        while not self._is_over.is_set():
            sample = machine_sample()
            try:
                self._reporter.sample(sample.model_copy(update={"process_memory": process_memory_bytes()}))
            except (OSError, StorageError):
                pass  # a full disk ends the job where it matters, not over a chart
            self._is_over.wait(self._gap_s)
