"""Remember how much memory a worker took, so that its sudden death can be explained."""

import time
from pathlib import Path

import psutil

from desktop_app.job_folder import ProcessIdentity
from desktop_app.process import family_memory_bytes

_EVERY_S = 2.0
_SCARCE = 0.05  # of all RAM: with less than this left the system begins to end processes
_LARGE = 0.5  # of all RAM: a worker that held this much is the likely victim


class MemoryTrace:
    """Looks now and then while a worker runs."""

    def __init__(self) -> None:
        self.peak_bytes = 0
        self.least_free_bytes: int | None = None
        self._victims = _system_victims()
        self._next = 0.0

    def look(self, identity: ProcessIdentity) -> None:
        """Note the memory of a worker and its children, every two seconds at most."""
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + _EVERY_S
        free = int(psutil.virtual_memory().available)
        self.least_free_bytes = free if self.least_free_bytes is None else min(free, self.least_free_bytes)
        self.peak_bytes = max(self.peak_bytes, family_memory_bytes(identity))

    def evidence(self) -> str:
        """Say in words what points to a lack of memory; '' if nothing does."""
        total = int(psutil.virtual_memory().total)
        held = f"it held {_gib(self.peak_bytes)} of {_gib(total)}"
        if _system_victims() > self._victims:
            return f"{held}, and the system reports that it ended a process to free memory"
        is_scarce = self.least_free_bytes is not None and self.least_free_bytes < _SCARCE * total
        return held if is_scarce or self.peak_bytes > _LARGE * total else ""


def _system_victims() -> int:
    """How many processes Linux ended since boot for lack of memory; 0 where it is not told."""
    try:
        for line in Path("/proc/vmstat").read_text().splitlines():
            if line.startswith("oom_kill "):
                return int(line.split()[1])
    except (OSError, ValueError):
        pass
    return 0


def _gib(size_bytes: int) -> str:
    return f"{size_bytes / 2**30:.1f} GiB"
