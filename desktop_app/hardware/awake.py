"""Keep the computer from falling asleep by itself while jobs run, by the system's own means.

A courtesy: where the system has no way to do it, it sleeps as it always did. What holds it ends with this process,
however it ends: systemd-inhibit waits for a pipe of ours, caffeinate for our pid, Windows for the calling thread.
The display may go dark; closing the lid is the user's word and is obeyed.
"""

import os
import sys
from types import TracebackType

from desktop_app.paths import APP_NAME
from desktop_app.process import TiedProgram

_WHY = "A job is running"
# SetThreadExecutionState: ES_CONTINUOUS | ES_SYSTEM_REQUIRED; the first alone takes it back.
_CONTINUOUS, _SYSTEM_REQUIRED = 0x80000000, 0x00000001


class AwakeLock:
    """Held or not; holding twice is the same as once. Use it from one thread: on Windows the lock is the thread's."""

    def __init__(self) -> None:
        self._program: TiedProgram | None = None
        self._is_held = False

    def set(self, is_wanted: bool) -> None:
        """Hold or release the lock, whichever is wanted now; cheap when nothing changes. Never raises."""
        if is_wanted == self._is_held:
            return
        self._is_held = is_wanted
        if sys.platform == "win32":
            import ctypes

            ctypes.windll.kernel32.SetThreadExecutionState(_CONTINUOUS | (_SYSTEM_REQUIRED if is_wanted else 0))
        elif is_wanted:
            self._program = TiedProgram(awake_command())
        elif self._program is not None:
            self._program.end()
            self._program = None

    def __enter__(self) -> "AwakeLock":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.set(False)


def awake_command() -> list[str]:
    """Return the program that holds the lock as long as it runs, on Linux and macOS."""
    if sys.platform == "darwin":
        return ["caffeinate", "-i", "-w", str(os.getpid())]
    words = [f"--who={APP_NAME}", f"--why={_WHY}"]
    return ["systemd-inhibit", "--what=sleep:idle", "--mode=block", *words, "cat"]
