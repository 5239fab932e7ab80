"""The peak of an evaluation: what was in use for a moment between two looks counts, what was there before does not."""

import mmap
from contextlib import closing

import torch

from desktop_app.workers.evaluation.memory_peak import watched_memory

_MB = 1_000_000
_CPU = torch.device("cpu")


def test_what_was_in_use_for_a_moment_is_the_peak() -> None:
    with _in_use(200 * _MB):  # there before
        with watched_memory(_CPU) as high:
            for _ in range(3):
                with _in_use(100 * _MB):
                    pass
        with watched_memory(_CPU) as low, _in_use(20 * _MB):
            pass
    assert 95 * _MB < high.bytes < 150 * _MB
    assert 15 * _MB < low.bytes < 70 * _MB, "a new watch begins anew"


def test_nothing_in_use_is_no_peak() -> None:
    with watched_memory(_CPU) as peak:
        pass
    assert 0 <= peak.bytes < 5 * _MB


def _in_use(size_bytes: int) -> closing[mmap.mmap]:
    """Take pages from the system itself: an allocator might give some that an earlier test has left."""
    pages = mmap.mmap(-1, size_bytes)
    for at in range(0, size_bytes, mmap.PAGESIZE):
        pages[at] = 1
    return closing(pages)
