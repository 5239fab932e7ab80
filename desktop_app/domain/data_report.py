"""What a look at a data file found."""

from typing import Any, Literal

from .value import Value

Role = Literal["system", "user", "assistant", "tool", "text"]


class Turn(Value):
    """One part of an example as it is shown: who speaks and what."""

    role: Role
    text: str


class BadRow(Value):
    """A row that cannot be used. `line` counts from 1 (0: not line-based), `byte_offset` from 0."""

    line: int
    byte_offset: int
    reason: str


class Preview(Value):
    """One example, rendered for reading; `row` counts from 1 within the usable rows."""

    row: int
    turns: tuple[Turn, ...]


class DataReport(Value):
    """A data file: its `layout`, number of usable `rows`, and bad ones by line.

    `bad_rows` holds the first ones only; `bad_row_count` counts all. `evidence` says why this layout.
    `complete` is False if reading ended at a limit before the end of the file.
    """

    path: str
    format: str
    encoding: str = ""
    layout: str
    evidence: str = ""
    columns: tuple[str, ...] = ()
    mapping: dict[str, str] = {}
    rows: int
    bad_row_count: int = 0
    bad_rows: tuple[BadRow, ...] = ()
    previews: tuple[Preview, ...] = ()
    size_bytes: int = 0
    complete: bool = True
    problem: str = ""
    hint: str = ""
    extra: dict[str, Any] = {}
