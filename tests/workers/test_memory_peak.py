"""The peak of an evaluation: what was in use for a moment between two looks counts, what was there before does not."""

import numpy as np
import torch

from desktop_app.workers.evaluation.memory_peak import watched_memory

_MB = 1_000_000
_CPU = torch.device("cpu")


def test_what_was_in_use_for_a_moment_is_the_peak() -> None:
    there_before = np.ones(200 * _MB, np.uint8)
    with watched_memory(_CPU) as high:
        for _ in range(3):
            np.ones(100 * _MB, np.uint8)  # gone at once
    with watched_memory(_CPU) as low:
        np.ones(20 * _MB, np.uint8)
    assert 95 * _MB < high.bytes < 150 * _MB
    assert 15 * _MB < low.bytes < 70 * _MB, "a new watch begins anew"
    assert len(there_before)


def test_nothing_in_use_is_no_peak() -> None:
    with watched_memory(_CPU) as peak:
        pass
    assert 0 <= peak.bytes < 5 * _MB
