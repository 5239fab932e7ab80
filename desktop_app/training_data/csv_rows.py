"""Rows of CSV and TSV files: the first line names the columns, the delimiter is found out.

Lines are put together to a row by counting quotes, so that a quote that is never closed spoils one row and
not the rest of the file.
"""

import csv
from collections import deque
from collections.abc import Iterator
from itertools import chain, islice

from desktop_app.domain.data_report import BadRow
from desktop_app.errors import DataError

from .lines import Line, decoded
from .row import ROW_LIMIT_BYTES, Row, first_repeated

_DELIMITERS = (",", "\t", ";", "|")
_SAMPLE_RECORDS = 20
_RECORD_LINES = 10_000

csv.field_size_limit(ROW_LIMIT_BYTES)


class _Record:
    """The lines of one row, joined; `line` and `byte_offset` are those of its first line."""

    __slots__ = ("byte_offset", "line", "text")

    def __init__(self, line: int, byte_offset: int, text: str) -> None:
        self.line = line
        self.byte_offset = byte_offset
        self.text = text

    def bad(self, reason: str) -> BadRow:
        return BadRow(line=self.line, byte_offset=self.byte_offset, reason=reason)

    def fields(self, delimiter: str) -> list[str]:
        """Split into fields.

        Raises:
            csv.Error: if quotes stand where none may.
        """
        return next(csv.reader([self.text], delimiter=delimiter, strict=True))


def csv_rows(found: Iterator[Line | BadRow], name: str, delimiter: str = "") -> Iterator[Row | BadRow]:
    """Yield the rows by the names in the first line; `delimiter` is found out unless given.

    Raises:
        DataError: if the first line cannot be read, or names a column twice.
    """
    records = _records(found)
    header = next(records, None)
    if header is None:
        return
    if isinstance(header, BadRow):
        raise DataError(
            f"{name}, line {header.line}: {header.reason}.", "The first line must name the columns; mend or remove it."
        )
    sample = list(islice(records, _SAMPLE_RECORDS))
    delimiter = delimiter or delimiter_of(
        header.text, [record.text for record in sample if isinstance(record, _Record)]
    )
    names = _column_names(header, delimiter, name)
    for record in chain(sample, records):
        yield record if isinstance(record, BadRow) else _row(record, names, delimiter)


def delimiter_of(header: str, sample: list[str]) -> str:
    """Return the delimiter by which most rows have as many fields as the header; a comma if none splits it."""

    def score(delimiter: str) -> tuple[int, int]:
        try:
            fields = len(next(csv.reader([header], delimiter=delimiter)))
        except csv.Error:
            return (-1, 0)
        if fields < 2:
            return (-1, 0)
        same = sum(_field_count(text, delimiter) == fields for text in sample)
        return (same, fields)

    best = max(_DELIMITERS, key=score)
    return best if score(best)[0] >= 0 else ","


def _field_count(text: str, delimiter: str) -> int:
    try:
        return len(next(csv.reader([text], delimiter=delimiter)))
    except csv.Error:
        return 0


def _column_names(header: _Record, delimiter: str, name: str) -> list[str]:
    try:
        fields = [field.strip() for field in header.fields(delimiter)]
    except csv.Error as error:
        raise DataError(
            f"{name}, line {header.line}: the column names cannot be read ({error}).", "Mend the quotes in that line."
        ) from error
    names = [field or f"column_{number}" for number, field in enumerate(fields, 1)]
    if len(set(names)) < len(names):
        raise DataError(
            f"{name}: the column {first_repeated(names)[:60]!r} stands twice in the first line.",
            "Give each its own name.",
        )
    return names


def _row(record: _Record, names: list[str], delimiter: str) -> Row | BadRow:
    try:
        fields = record.fields(delimiter)
    except csv.Error as error:
        return record.bad(f"not CSV: {error}")
    if len(fields) != len(names):
        return record.bad(f"has {len(fields)} fields where the first line names {len(names)} columns")
    return Row(record.line, record.byte_offset, dict(zip(names, fields, strict=True)))


def _records(found: Iterator[Line | BadRow]) -> Iterator[_Record | BadRow]:
    source = _Source(found)
    while (line := source.next()) is not None:
        if isinstance(line, BadRow):
            yield line
            continue
        text = decoded(line)
        if isinstance(text, BadRow):
            yield text
        elif not text.strip():
            continue
        elif text.count('"') % 2 == 0:
            yield _checked(_Record(line.number, line.byte_offset, text))
        else:
            yield _joined(line, text, source)


class _Source:
    """Lines, of which some can be put back."""

    def __init__(self, found: Iterator[Line | BadRow]) -> None:
        self._found = found
        self._waiting: deque[Line | BadRow] = deque()

    def next(self) -> Line | BadRow | None:
        """Take the next line, None at the end."""
        return self._waiting.popleft() if self._waiting else next(self._found, None)

    def put_back(self, taken: list[Line | BadRow]) -> None:
        """Let these lines come again, in their order."""
        self._waiting.extendleft(reversed(taken))


def _joined(first: Line, text: str, source: _Source) -> _Record | BadRow:
    """Put lines together until the quotes close; if they never do, put all but the first back."""
    parts, taken, size = [text], list[Line | BadRow](), len(first.data)
    while size <= ROW_LIMIT_BYTES and len(taken) < _RECORD_LINES:
        line = source.next()
        if line is None:
            break
        taken.append(line)
        more = line if isinstance(line, BadRow) else decoded(line)
        if isinstance(more, BadRow):
            break
        size += len(line.data) if isinstance(line, Line) else 0
        parts.append(more)
        if more.count('"') % 2 == 1:
            return _checked(_Record(first.number, first.byte_offset, "\n".join(parts)))
    source.put_back(taken)
    return BadRow(line=first.number, byte_offset=first.byte_offset, reason="a quote is opened and never closed")


def _checked(record: _Record) -> _Record | BadRow:
    return record.bad("holds a NUL byte") if "\0" in record.text else record
