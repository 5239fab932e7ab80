"""The small loss curves beside the rows of the history, read from the job folders when they are first seen.

A long run's file is sampled at even places instead of read: a curve 72 pixels wide needs no more.
"""

import time
from pathlib import Path
from typing import Any

from desktop_app import paths
from desktop_app.domain.event import Metric, parse_event
from desktop_app.domain.job import Job
from desktop_app.domain.run_record import Point
from desktop_app.job_folder import JobFolder

from .curve import sparkline
from .job_rows import progress_share

_WHOLE_BYTES = 256 * 1024
_BLOCKS = 64
_BLOCK_BYTES = 4096
_LIVE_S = 5.0  # how long the curve of a job at work stays good


def sampled_losses(file: Path) -> list[Point]:
    """Return (step, loss) points of an events file: all of a short one, about 64 of a long one."""
    try:
        with file.open("rb") as stream:
            size = stream.seek(0, 2)
            if size <= _WHOLE_BYTES:
                stream.seek(0)
                return _losses(stream.read().split(b"\n"), most=10**9)
            points: dict[float, float] = {}
            for block in range(_BLOCKS):
                at = block * (size - _BLOCK_BYTES) // (_BLOCKS - 1)
                stream.seek(at)
                lines = stream.read(_BLOCK_BYTES).split(b"\n")
                # The last block is read from its end, so that the curve ends where the run does.
                whole = lines[1:-1] if at else lines[:-1]
                points.update(_losses(whole[::-1] if block == _BLOCKS - 1 else whole, most=1))
            return sorted(points.items())
    except OSError:
        return []


def _losses(lines: list[bytes], most: int) -> list[Point]:
    found: dict[float, float] = {}
    for line in lines:
        if b'"loss"' not in line:
            continue
        event = parse_event(line)
        if isinstance(event, Metric) and "loss" in event.values:
            found[event.step] = event.values["loss"]
            if len(found) >= most:
                break
    return sorted(found.items())


class Sparklines:
    """Curves by job id. `fill` never waits; `read_missing` does, and belongs in a thread."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[object, str]] = {}
        self._wanted: dict[str, Job] = {}

    def fill(self, rows: list[dict[str, Any]], jobs: list[Job]) -> None:
        """Put the known curves into the rows and note which ones are still to be read."""
        for row, job in zip(rows, jobs, strict=True):
            freshness = job.state if job.state.is_terminal else int(time.time() / _LIVE_S)
            known = self._known.get(job.id)
            row["curve"] = known[1] if known else ""
            if job.kind == "finetune" and job.started and (known is None or known[0] != freshness):
                self._wanted[job.id] = job

    def read_missing(self) -> bool:
        """Read the curves that were asked for; return whether there were any."""
        wanted, self._wanted = self._wanted, {}
        for job in wanted.values():
            freshness = job.state if job.state.is_terminal else int(time.time() / _LIVE_S)
            points = sampled_losses(JobFolder(paths.jobs_dir() / job.id).events_file)
            self._known[job.id] = (freshness, sparkline(points, share=progress_share(job) or 1.0))
        return bool(wanted)
