"""Let a cancellation end a library's long call at once, instead of when it returns.

For calls that are Python for the most part: the exception is raised between two of its steps. What the call leaves
is its caller's to remove, in `finally`.
"""

import _thread
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from .reporter import CancelledByUser, Reporter

_LOOK_S = 0.2
# Longer than what lies between here and there takes to clean up: it is not to be broken off as well.
_AGAIN_S = 1.0


@contextmanager
def ended_when_cancelled(reporter: Reporter) -> Iterator[None]:
    """Raise CancelledByUser in the main thread, which this is called in, as soon as the user cancels.

    Again and again until it gets through: Python drops what is raised while it clears up an object. Whatever else
    fails after the user cancelled is the cancellation's doing, and ends as one.
    """
    is_over = threading.Event()

    def watch() -> None:
        pause_s = _LOOK_S
        while not is_over.wait(pause_s):
            try:
                reporter.heed_cancel()
            except CancelledByUser:
                _thread.interrupt_main()
                pause_s = _AGAIN_S

    def raise_it(signal_number: int, frame: FrameType | None) -> None:
        if not is_over.is_set():
            raise CancelledByUser

    before = signal.signal(signal.SIGINT, raise_it)
    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        with _dropped_in_silence():
            yield
    except Exception:  # raised again, unless the user wanted the end
        reporter.heed_cancel()
        raise
    finally:
        is_over.set()
        watcher.join()
        signal.signal(signal.SIGINT, before)


@contextmanager
def _dropped_in_silence() -> Iterator[None]:
    """Keep Python from telling of the cancellation that it drops, with a traceback of wherever it was."""
    tell = sys.unraisablehook

    def tell_others(dropped: "sys.UnraisableHookArgs") -> None:
        if dropped.exc_type is not CancelledByUser:
            tell(dropped)

    sys.unraisablehook = tell_others
    try:
        yield
    finally:
        sys.unraisablehook = tell
