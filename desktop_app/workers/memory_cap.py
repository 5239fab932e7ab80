"""Keep a chat template, a program that came with the model, from filling this computer's memory while rows are read."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


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
