"""Bounds to the memory of a process: for a while, of a template that came with a model; for good, of a trial."""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

_LEAST_FREE_SHARE = 0.02
_NO_MEMORY_EXIT_CODE = 137  # what a shell shows for a process that the system ended for its memory


@contextmanager
def memory_capped(room_bytes: int) -> Iterator[None]:
    """Let this process take at most `room_bytes` more than now; beyond it Python raises MemoryError.

    Only Linux has such a limit that can be lifted again; elsewhere nothing is done.
    """
    if sys.platform != "linux":
        yield
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    wanted = pages * resource.getpagesize() + room_bytes
    is_lower = soft == resource.RLIM_INFINITY or wanted < soft
    if is_lower and (hard == resource.RLIM_INFINITY or wanted <= hard):
        resource.setrlimit(resource.RLIMIT_AS, (wanted, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def leave_before_memory_is_full() -> None:
    """End this process before the system has to choose one: the user's other programs are worth more. Never returns."""
    while True:
        memory = psutil.virtual_memory()
        if memory.available < _LEAST_FREE_SHARE * memory.total:
            os._exit(_NO_MEMORY_EXIT_CODE)
        time.sleep(0.2)
