"""What a job hands back when it is done."""

from dataclasses import dataclass
from pathlib import Path

Summary = dict[str, int | float | str | bool | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """A verified result folder, figures for the history, and what was checked with its finding.

    No folder where another process of the same training writes it.
    """

    result: Path | None
    summary: Summary
    checks: dict[str, str]
    stopped_early: bool = False
