"""Be a service of the window, one without torch: its methods by its name, and the memory that it may take."""

import os
import sys
import threading
import time
from collections.abc import Mapping

import psutil

from desktop_app.serving import Method, serve

MEMORY_EXIT_CODE = 137  # what a shell shows for a process that the system ended for its memory
_GIBI = 1024**3


def run_service(name: str, arguments: list[str]) -> int:
    """Serve the methods of the service `name`; return the exit code."""

    def prepared() -> Mapping[str, Method]:
        methods, memory_bytes = _methods(name)
        if memory_bytes:
            _cap_memory(memory_bytes)
        return methods

    return serve(prepared)


def _methods(name: str) -> tuple[dict[str, Method], int]:
    """Return what a service can do, and how much memory it may take (0: not limited)."""
    if name == "sensors":
        from . import sensors

        return sensors.METHODS, 0  # NVML reserves address space as it likes
    if name == "inspect":
        from . import inspect

        return inspect.METHODS, inspect.MEMORY_BYTES
    if name == "hub":
        from . import hub

        return hub.METHODS, hub.MEMORY_BYTES
    raise SystemExit(f"no service is called {name!r}")


def _cap_memory(limit_bytes: int) -> None:
    """Keep a hostile file from filling the computer's memory."""
    if sys.platform == "linux":
        import resource

        most = limit_bytes + _GIBI  # libraries map about 1 GiB
        _, allowed = resource.getrlimit(resource.RLIMIT_AS)
        if allowed == resource.RLIM_INFINITY or most < allowed:
            resource.setrlimit(resource.RLIMIT_AS, (most, most))
        return
    threading.Thread(target=_watch_memory, args=(limit_bytes,), name="memory", daemon=True).start()


def _watch_memory(limit_bytes: int) -> None:
    """Elsewhere there is no limit that holds: look twice a second."""
    process = psutil.Process()
    while process.memory_info().rss < limit_bytes:
        time.sleep(0.5)
    os._exit(MEMORY_EXIT_CODE)
