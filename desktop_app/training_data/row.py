"""One row of a data file as it was read, before anyone asks what it means."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

# No single line, row or JSON element may be longer: reading stays in bounded memory whatever the file holds.
ROW_LIMIT_BYTES = 8 * 1024 * 1024
ROW_LIMIT_WORDS = "longer than 8 MB"


@dataclass(frozen=True, slots=True)
class Row:
    """A row by its columns. `line` counts from 1 (0: not line-based), `byte_offset` from 0.

    `continues` is True for a piece of plain text that does not end where the text ends.
    """

    line: int
    byte_offset: int
    columns: dict[str, Any]
    continues: bool = False


def first_repeated(names: Iterable[str]) -> str:
    """Return the first name that comes a second time, '' if none does."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return ""
