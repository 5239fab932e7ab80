"""Lines of a file in bounded memory, with their number and byte offset.

Splits at bytes, not with `str.splitlines`: U+2028 inside a JSON string is no line break.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from desktop_app.domain.data_report import BadRow

from .row import ROW_LIMIT_BYTES, ROW_LIMIT_WORDS

_CHUNK_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Line:
    """One line without its line end. `number` counts from 1, `byte_offset` from 0."""

    number: int
    byte_offset: int
    data: bytes


Progress = Callable[[int], None]


def no_progress(byte_offset: int) -> None:
    """Tell nobody how far reading is."""


def lines(
    stream: BinaryIO, start: int, line_end: bytes = b"\n", progress: Progress = no_progress, number: int = 1
) -> Iterator[Line | BadRow]:
    """Yield the lines of `stream` from byte `start`, where line `number` begins.

    A line over the limit comes as a bad row, never held whole.
    """
    stream.seek(start)
    offset, rest = start, b""
    skipped = 0  # bytes of a line that is too long, already told and let go
    while chunk := stream.read(_CHUNK_BYTES):
        if skipped and line_end not in chunk:
            skipped += len(chunk)
            progress(offset + skipped)
            continue
        *whole, rest = (rest + chunk).split(line_end)
        for data in whole:
            if not skipped:
                yield _line(number, offset, data)
            number, offset, skipped = number + 1, offset + skipped + len(data) + 1, 0
        if len(rest) > ROW_LIMIT_BYTES:
            yield _line(number, offset, rest)
            skipped, rest = len(rest), b""
        progress(offset + skipped + len(rest))
    if rest and not skipped:
        yield _line(number, offset, rest)


def _line(number: int, offset: int, data: bytes) -> Line | BadRow:
    if len(data) > ROW_LIMIT_BYTES:
        return BadRow(line=number, byte_offset=offset, reason=f"the line is {ROW_LIMIT_WORDS}")
    return Line(number, offset, data.removesuffix(b"\r"))


def decoded(line: Line) -> str | BadRow:
    """Decode a line strictly; a byte that is not UTF-8 makes it a bad row that names byte and place."""
    try:
        return line.data.decode("utf-8")
    except UnicodeDecodeError as error:
        return BadRow(
            line=line.number, byte_offset=line.byte_offset, reason=not_utf8(line.data, error.start, line.byte_offset)
        )


def not_utf8(data: bytes, index: int, byte_offset: int) -> str:
    """Say which byte of `data` (which starts at `byte_offset` of the file) is not UTF-8, and what it may be."""
    byte = data[index]
    reason = f"byte 0x{byte:02X} at byte offset {byte_offset + index} is not UTF-8"
    try:
        seen = bytes([byte]).decode("cp1252")
    except UnicodeDecodeError:
        return reason
    return f"{reason} (in Windows-1252 it would be {seen!r})"
