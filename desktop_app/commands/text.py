"""How figures, durations and jobs read in a terminal."""

import json
import math
from dataclasses import asdict
from datetime import datetime
from typing import Any

from desktop_app.domain.figure_words import NO_FIGURES, label
from desktop_app.domain.job import Job


def duration_text(seconds: float) -> str:
    """Say a duration as in 0:07, 12:34 or 3:04:05."""
    whole = max(0, round(seconds))
    hours, rest = divmod(whole, 3600)
    minutes, last = divmod(rest, 60)
    return f"{hours}:{minutes:02}:{last:02}" if hours else f"{minutes}:{last:02}"


def size_text(size_bytes: float) -> str:
    """Say a size in the largest unit that leaves a number above one; 1 kB is 1000 bytes."""
    for unit, scale in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size_bytes >= scale:
            return f"{size_bytes / scale:.1f} {unit}"
    return f"{size_bytes:.0f} bytes"


def number_text(value: object) -> str:
    """Say a figure of a summary: four digits that matter."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if not isinstance(value, float):
        return str(value)
    return f"{value:,.0f}" if value.is_integer() and abs(value) < 1e15 else f"{value:.4g}"


def figure_text(name: str, value: object) -> tuple[str, str]:
    """Say a figure of a summary in words, and its value in the unit that its name ends with."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return label(name), number_text(value)
    if name.endswith("_bytes"):
        return label(name), size_text(value)
    if name == "bytes_per_s":
        return label(name), f"{size_text(value)}/s"
    if name.endswith(("seconds", "_s")) and not name.endswith("per_s"):
        return label(name), duration_text(value)
    if name.endswith(("_share", "ratio")):
        return label(name), f"{100 * value:.0f} %"
    return label(name), number_text(value)


def summary_lines(summary: dict[str, Any]) -> list[tuple[str, str]]:
    """Say the figures of a summary, without those that are empty or that only tell others."""
    known = ((name, value) for name, value in summary.items() if value is not None and name not in NO_FIGURES)
    return [figure_text(name, value) for name, value in known]


def time_text(unix_s: float | None) -> str:
    """Say a moment in the computer's own time zone; '' if there is none."""
    return "" if unix_s is None else f"{datetime.fromtimestamp(unix_s):%Y-%m-%d %H:%M}"


def progress_text(job: Job) -> str:
    """Say how far a job is: step, loss, rate, time left, as far as they are known."""
    parts = []
    if job.total:
        parts.append(f"{job.unit or 'step'} {number_text(float(job.done))}/{number_text(float(job.total))}")
    if job.loss is not None:
        parts.append(f"loss {job.loss:.4g}")
    if job.rate:
        parts.append(f"{job.rate:,.4g} {job.rate_unit or job.unit}/s")
    if job.eta_s is not None:
        time = duration_text(job.eta_s)
        parts.append(f"{time} left" if job.total else f"takes about {time}")
    return "  ".join(parts)


def json_text(value: Any) -> str:
    """Write a value, or a job, as one line of JSON; figures that are no numbers become null."""
    return json.dumps(_finite(asdict(value) if isinstance(value, Job) else value), allow_nan=False)


def printable(text: str) -> str:
    """Take out what could steer the terminal: names and messages come from files that others made."""
    return "".join(character if character.isprintable() or character == "\n" else " " for character in text)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {name: _finite(one) for name, one in value.items()}
    return [_finite(one) for one in value] if isinstance(value, list | tuple) else value
