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
    stream: BinaryIO, start: int, line_end: bytes = b"\n", progress: Progress = no_progress
) -> Iterator[Line | BadRow]:
    """Yield the lines of `stream` from byte `start`; a line over the limit comes as a bad row, never held whole."""
    stream.seek(start)
    number, offset, rest, is_too_long = 1, start, b"", False
    skipped = 0  # bytes of a line that is too long, already let go
    while chunk := stream.read(_CHUNK_BYTES):
        *whole, rest = (rest + chunk).split(line_end)
        for data in whole:
            length = skipped + len(data)
            if is_too_long or length > ROW_LIMIT_BYTES:
                yield _too_long(number, offset)
            else:
                yield Line(number, offset, data.removesuffix(b"\r"))
            number, offset, skipped, is_too_long = number + 1, offset + length + 1, 0, False
        if is_too_long or len(rest) > ROW_LIMIT_BYTES:
            skipped, rest, is_too_long = skipped + len(rest), b"", True
        progress(offset + skipped + len(rest))
    if is_too_long:
        yield _too_long(number, offset)
    elif rest:
        yield Line(number, offset, rest.removesuffix(b"\r"))


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


def _too_long(number: int, offset: int) -> BadRow:
    return BadRow(line=number, byte_offset=offset, reason=f"the line is {ROW_LIMIT_WORDS}")
