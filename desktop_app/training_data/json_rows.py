"""Rows of JSONL files, and of JSON files that hold one list of rows.

A broken JSONL line is one bad row. A list that is broken cannot be read on: that is an error of the file.
"""

import codecs
from collections.abc import Iterator
from typing import Any, BinaryIO

from desktop_app.domain.data_report import BadRow
from desktop_app.errors import DataError

from .lines import Line, Progress, decoded, no_progress, not_utf8
from .row import ROW_LIMIT_BYTES, ROW_LIMIT_WORDS, Row
from .strict_json import StrictDecoder, shown, told

_CHUNK_BYTES = 64 * 1024
_BLANK = " \t\r\n"


def jsonl_rows(found: Iterator[Line | BadRow]) -> Iterator[Row | BadRow]:
    """Yield one row per line that is not blank."""
    decoder = StrictDecoder()
    for line in found:
        text = line if isinstance(line, BadRow) else decoded(line)
        if isinstance(text, BadRow):
            yield text
        elif isinstance(line, Line) and text.strip(_BLANK):
            yield _jsonl_row(decoder, line, text)


def _jsonl_row(decoder: StrictDecoder, line: Line, text: str) -> Row | BadRow:
    try:
        value = decoder.decode(text)
    except (ValueError, RecursionError) as error:
        return BadRow(line=line.number, byte_offset=line.byte_offset, reason=told(error))
    return _row(line.number, line.byte_offset, value, decoder.problem)


def _row(line: int, byte_offset: int, value: Any, problem: str) -> Row | BadRow:
    if not problem and not isinstance(value, dict):
        problem = f"holds {shown(value)}, not an object with named columns"
    if problem:
        return BadRow(line=line, byte_offset=byte_offset, reason=problem)
    return Row(line, byte_offset, value)


def json_rows(stream: BinaryIO, start: int, name: str, progress: Progress = no_progress) -> Iterator[Row | BadRow]:
    """Yield the rows of `[{...}, ...]`, or of the first list of objects in `{"data": [{...}, ...]}`.

    Raises:
        DataError: where the text is no JSON, naming line and byte offset; rows before it have been yielded.
    """
    text = _JsonText(stream, start, name, progress)
    first = text.peek()
    if first == "[":
        yield from _list_rows(text)
    elif first == "{":
        yield from _object_rows(text)
    else:
        raise text.broken("a JSON file starts with [ or {")
    if text.peek():
        raise text.broken("there is more after the end of the JSON value")


def _list_rows(text: "_JsonText") -> Iterator[Row | BadRow]:
    text.take("[", "")
    if text.peek() == "]":
        text.take("]", "")
        return
    while True:
        text.peek()
        line, byte_offset = text.line, text.byte_offset
        value = text.value()
        yield _row(line, byte_offset, value, text.decoder.problem)
        if text.peek() == "]":
            text.take("]", "")
            return
        text.take(",", "',' or ']' is missing after a row")
        if text.peek() == "]":
            raise text.broken("a row is missing after the last ','")


def _object_rows(text: "_JsonText") -> Iterator[Row | BadRow]:
    text.take("{", "")
    seen: list[str] = []
    has_rows = False
    while text.peek() != "}":
        key = text.value()
        if not isinstance(key, str):
            raise text.broken("a key in quotes is missing")
        seen.append(key[:60])
        text.take(":", f"':' is missing after the key {key[:60]!r}")
        if text.peek() == "[" and not has_rows and text.peek_second() == "{":
            has_rows = True
            yield from _list_rows(text)
        else:
            text.value()
        if text.peek() != "}":
            text.take(",", "',' or '}' is missing")
    text.take("}", "")
    if not has_rows:
        raise DataError(
            f"{text.name} holds one JSON object without a list of rows; its keys are {', '.join(seen[:12]) or 'none'}.",
            'Write the rows as a list, [{...}, {...}], or under one key: {"data": [{...}, {...}]}.',
        )


class _JsonText:
    """The text of a JSON file seen through a window that moves on; knows line and byte offset of its place."""

    def __init__(self, stream: BinaryIO, start: int, name: str, progress: Progress) -> None:
        self.name = name
        self.decoder = StrictDecoder()
        self.line = 1
        self.byte_offset = start
        self._stream = stream
        self._progress = progress
        self._utf8 = codecs.getincrementaldecoder("utf-8")()
        self._buffer = ""
        self._at = 0
        self._is_end = False
        stream.seek(start)

    def peek(self) -> str:
        """Move to the next character that is not blank and return it; '' at the end."""
        while True:
            end = self._at
            while end < len(self._buffer) and self._buffer[end] in _BLANK:
                end += 1
            self._move_to(end)
            if end < len(self._buffer):
                return self._buffer[end]
            if not self._read_more():
                return ""

    def peek_second(self) -> str:
        """Return the character after the one at this place that is not blank, without moving."""
        while True:
            following = self._buffer[self._at + 1 : self._at + 4096].lstrip(_BLANK)
            if following or len(self._buffer) - self._at > 4096 or not self._read_more():
                return following[:1]

    def take(self, expected: str, otherwise: str) -> None:
        """Move over `expected`, or say what is missing."""
        if self.peek() != expected:
            raise self.broken(otherwise)
        self._move_to(self._at + 1)

    def value(self) -> Any:
        """Read the value at this place. A cut one cannot be told from a broken one before more is read."""
        self.peek()
        while True:
            try:
                value, end = self.decoder.decode_at(self._buffer, self._at)
            except RecursionError as error:
                raise self.broken("nested too deeply") from error
            except ValueError as error:
                is_too_long = len(self._buffer) - self._at > ROW_LIMIT_BYTES
                if is_too_long or not self._read_more(double=True):
                    raise self._broken_at(error, is_too_long) from error
                continue
            # A number at the very end of the window may go on in the next chunk.
            if end < len(self._buffer) or not self._read_more():
                self._move_to(end)
                return value

    def broken(self, what: str) -> DataError:
        """Say what is wrong at this place."""
        return _broken(self.name, self.line, self.byte_offset, what)

    def _broken_at(self, error: ValueError, is_too_long: bool) -> DataError:
        place = min(getattr(error, "pos", self._at), len(self._buffer))
        message = str(getattr(error, "msg", error))
        self._move_to(max(place, self._at))
        if is_too_long:
            message += f", or the row is {ROW_LIMIT_WORDS}"
        elif not self._buffer[self._at :].strip(_BLANK):
            message += "; the file ends here"
        return self.broken(message)

    def _move_to(self, index: int) -> None:
        passed = self._buffer[self._at : index]
        self.line += passed.count("\n")
        self.byte_offset += len(passed) if passed.isascii() else len(passed.encode("utf-8"))
        self._at = index

    def _read_more(self, double: bool = False) -> bool:
        if self._is_end:
            return False
        rest = self._buffer[self._at :]
        wanted = max(_CHUNK_BYTES, len(rest)) if double else _CHUNK_BYTES
        pending = self._utf8.getstate()[0]
        chunk = self._stream.read(wanted)
        self._is_end = not chunk
        try:
            decoded_text = self._utf8.decode(chunk, final=self._is_end)
        except UnicodeDecodeError as error:
            raise self._not_utf8(rest, pending + chunk, error.start) from error
        if not self._is_end:
            self._buffer, self._at = rest + decoded_text, 0
            self._progress(self.byte_offset + len(rest))
        return not self._is_end

    def _not_utf8(self, rest: str, data: bytes, index: int) -> DataError:
        byte_offset = self.byte_offset + len(rest.encode("utf-8"))
        line = self.line + rest.count("\n") + data[:index].count(b"\n")
        return _broken(
            self.name,
            line,
            byte_offset + index,
            not_utf8(data, index, byte_offset),
            "Save it as UTF-8, then try again.",
        )


def _broken(name: str, line: int, byte_offset: int, what: str, hint: str = "") -> DataError:
    return DataError(
        f"{name} cannot be read at line {line} (byte offset {byte_offset}): {what}.",
        hint or "Mend that place, or save the rows as JSONL, where a broken line spoils no other.",
    )
