"""The most memory in use while something is done, beyond what was in use before.

On a GPU by torch's own count. Of the process by the system's high-water mark, which on Linux can be set back to now;
elsewhere it tells only if it rose, and a look every 20 ms tells the rest.
"""

import ctypes
import gc
import platform
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import torch

from desktop_app.workers.device import peak_memory_bytes

_SAMPLE_S = 0.02
_CLEAR_REFS, _STATUS = Path("/proc/self/clear_refs"), Path("/proc/self/status")
_SET_PEAK_BACK = "5"  # proc(5): VmHWM becomes what is in use now


class Peak:
    """`bytes` stands when the watch is over."""

    def __init__(self) -> None:
        self.bytes = 0


@contextmanager
def watched_memory(device: torch.device) -> Iterator[Peak]:
    """Watch the memory of the device that is computed on."""
    peak = Peak()
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        yield peak
        peak.bytes = int(torch.cuda.max_memory_allocated(device)) - before
        return
    _give_back_what_is_free()
    before, marked = psutil.Process().memory_info().rss, _set_back()
    with _looks() as seen:
        yield peak
    highest = _high_water(device)
    peak.bytes = max(highest if highest > marked else 0, seen.bytes) - before


def _set_back() -> int:
    """Set the high-water mark to what is in use now, where the system can; return the mark that has to be beaten."""
    try:
        _CLEAR_REFS.write_text(_SET_PEAK_BACK, encoding="ascii")
    except OSError:
        return _high_water(torch.device("cpu"))
    return 0


def _high_water(device: torch.device) -> int:
    # Not by getrusage on Linux: what the process that started us had used counts there too.
    with suppress(OSError, StopIteration):
        lines = _STATUS.read_text(encoding="utf-8").splitlines()
        return int(next(line for line in lines if line.startswith("VmHWM:")).split()[1]) * 1024
    return peak_memory_bytes(device)


@contextmanager
def _looks() -> Iterator[Peak]:
    seen, stop, process = Peak(), threading.Event(), psutil.Process()

    def watch() -> None:
        while not stop.is_set():
            seen.bytes = max(seen.bytes, process.memory_info().rss)
            time.sleep(_SAMPLE_S)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        stop.set()
        thread.join()


def _give_back_what_is_free() -> None:
    """Free what the model before has left, also in cycles, and let glibc return it: it hides what the next takes."""
    gc.collect()
    if platform.libc_ver()[0] == "glibc":
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).malloc_trim(0)
