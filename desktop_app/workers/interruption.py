"""Let a cancellation end a library's long call at once, instead of when it returns.

For calls that are Python for the most part: the exception is raised between two of its steps. What the call leaves
is its caller's to remove, in `finally`.
"""

import _thread
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from .reporter import CancelledByUser, Reporter

_LOOK_S = 0.2


@contextmanager
def ended_when_cancelled(reporter: Reporter) -> Iterator[None]:
    """Raise CancelledByUser in the main thread, which this is called in, as soon as the user cancels."""
    is_over = threading.Event()

    def watch() -> None:
        while not is_over.wait(_LOOK_S):
            try:
                reporter.heed_cancel()
            except CancelledByUser:
                _thread.interrupt_main()
                return

    def raise_it(signal_number: int, frame: FrameType | None) -> None:
        raise CancelledByUser

    before = signal.signal(signal.SIGINT, raise_it)
    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        is_over.set()
        watcher.join()
        signal.signal(signal.SIGINT, before)
