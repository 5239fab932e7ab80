"""One row of a data file as it was read, before anyone asks what it means."""

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
