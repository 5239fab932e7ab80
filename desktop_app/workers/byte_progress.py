"""How far a job that moves bytes is, how fast, and how long it will take; and the user's wishes on the way."""

import time
from collections import deque

from .reporter import Reporter

_LOOK_BACK_S = 8.0  # the speed is that of the last seconds
_SAMPLE_GAP_S = 0.25


class ByteProgress:
    """Call `add` for every block: it reports, holds still while the job is paused, and raises when it is cancelled."""

    def __init__(self, reporter: Reporter, total: int, done: int = 0) -> None:
        """`done` of `total` bytes were there already."""
        self._reporter = reporter
        self.total = total
        self.done = done
        self._began_with = done
        self._seen = deque([(time.monotonic(), done)])

    def add(self, count: int) -> None:
        """Take note of `count` more bytes, fewer if it is negative.

        Raises:
            CancelledByUser: the user cancelled.
        """
        self.done += count
        paused_at = time.monotonic()
        self._reporter.heed()
        now = time.monotonic()
        if now - paused_at > _SAMPLE_GAP_S:  # a pause is not slowness
            self._seen.clear()
        if not self._seen or now - self._seen[-1][0] >= _SAMPLE_GAP_S:
            self._seen.append((now, self.done))
        while now - self._seen[0][0] > _LOOK_BACK_S and len(self._seen) > 1:
            self._seen.popleft()
        rate = self._rate(now)
        left = max(0, self.total - self.done)
        self._reporter.progress(
            self.done,
            max(self.total, self.done),
            "byte",
            rate=rate,
            rate_unit="byte",
            eta_s=left / rate if rate else None,
        )

    def _rate(self, now: float) -> float | None:
        then, done = self._seen[0]
        return (self.done - done) / (now - then) if now - then > _SAMPLE_GAP_S and self.done > done else None
