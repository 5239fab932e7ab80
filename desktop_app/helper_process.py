"""The owner's end of a service's pipe: start it, send, wait for its words, end it.

Knows no methods. Who only wants an answer in words asks `services.client`.
"""

import queue
import threading
import time
from pathlib import Path
from typing import Any, BinaryIO, cast

from .pipe import BrokenPipe, read_frame, write_frame
from .process import start_service, wait_until


class HelperProcess:
    """A running process and the thread that reads its answers; what it prints is added to a log in `logs`."""

    def __init__(self, name: str, logs: Path) -> None:
        self.started = time.monotonic()
        self._is_ready = False
        self._sending = threading.Lock()
        self._process = start_service(name, logs / f"{name}-service.log", may_use_network=name == "hub")
        self._answers: queue.SimpleQueue[Any] = queue.SimpleQueue()
        threading.Thread(target=self._receive, name=f"{name}-service", daemon=True).start()

    def wait_until_ready(self, end: float) -> None:
        """Wait for the helper's first word. Raises as `take`."""
        if not self._is_ready:
            self.take(end)
            self._is_ready = True

    def send(self, request: Any) -> None:
        """Send a request, or the wish to end the one that is worked on. Raises OSError if the helper is gone."""
        with self._sending:
            write_frame(cast(BinaryIO, self._process.stdin), request)

    @property
    def is_gone(self) -> bool:
        """Whether the process has ended."""
        return self._process.poll() is not None

    def exit_code(self) -> int | None:
        """Exit code of a process that has closed its pipe; None if it does not end."""
        wait_until(lambda: self.is_gone, timeout_s=1.0, step_s=0.01)
        return self._process.returncode

    def end(self) -> None:
        """Kill the process; where the system holds on to it, as in a hung driver, it is not waited for."""
        self._process.kill()
        threading.Thread(target=self._clean_up, name="ended-service", daemon=True).start()
        wait_until(lambda: self.is_gone, timeout_s=0.5, step_s=0.01)

    def _clean_up(self) -> None:
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            try:
                cast(BinaryIO, stream).close()
            except OSError:
                pass  # an unsent request; nobody waits for it any more

    def take(self, end: float) -> Any:
        """Wait for the next word of the helper.

        Raises:
            TimeoutError: there is none at `end` (time.monotonic).
            EOFError, BrokenPipe, OSError: the helper is gone.
        """
        try:
            answer = self._answers.get(timeout=max(0.0, end - time.monotonic()))
        except queue.Empty as error:
            raise TimeoutError from error
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _receive(self) -> None:
        while True:
            try:
                self._answers.put(read_frame(cast(BinaryIO, self._process.stdout)))
            except (EOFError, BrokenPipe, OSError) as error:
                self._answers.put(error)
                return
            except ValueError:  # the pipe was closed on this side
                self._answers.put(EOFError())
                return
