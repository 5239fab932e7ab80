"""Pieces of a plain text or Markdown file: whole paragraphs together, long paragraphs cut at a space.

How many tokens a piece has is not known here; the tokenization cuts again where a piece is too long for the model.
"""

from collections.abc import Iterator

from desktop_app.domain.data_report import BadRow

from .lines import Line, decoded
from .row import Row

PIECE_CHARACTERS = 4_000


def text_rows(found: Iterator[Line | BadRow]) -> Iterator[Row | BadRow]:
    """Yield the text in pieces of up to `PIECE_CHARACTERS`; all but the last `continue`."""
    held: Row | None = None
    for piece in _pieces(found):
        if isinstance(piece, BadRow):
            yield piece
            continue
        if held is not None:
            yield Row(held.line, held.byte_offset, held.columns, continues=True)
        held = piece
    if held is not None:
        yield held


def _pieces(found: Iterator[Line | BadRow]) -> Iterator[Row | BadRow]:
    piece, line_number, byte_offset = "", 0, 0
    for line in found:
        text = line if isinstance(line, BadRow) else _text(line)
        if isinstance(text, BadRow):
            yield text
            continue
        assert isinstance(line, Line)
        # A new piece begins where a paragraph begins and the piece is long enough, or in need at any line.
        is_full = len(piece) > PIECE_CHARACTERS // 2 if not text.strip() else len(piece) + len(text) > PIECE_CHARACTERS
        if is_full and piece.strip():
            yield Row(line_number, byte_offset, {"text": piece.strip("\n")})
            piece = ""
        if not piece.strip():
            piece, line_number, byte_offset = "", line.number, line.byte_offset
            if not text.strip():
                continue
        piece += text + "\n"
        while len(piece) > PIECE_CHARACTERS:
            head, piece = _cut(piece)
            yield Row(line_number, byte_offset, {"text": head})
            line_number, byte_offset = line.number, line.byte_offset
    if piece.strip():
        yield Row(line_number, byte_offset, {"text": piece.strip("\n")})


def _text(line: Line) -> str | BadRow:
    if b"\0" in line.data:
        place = line.byte_offset + line.data.index(b"\0")
        return BadRow(line=line.number, byte_offset=line.byte_offset, reason=f"holds a NUL byte at byte offset {place}")
    return decoded(line)


def _cut(text: str) -> tuple[str, str]:
    place = text.rfind(" ", PIECE_CHARACTERS // 2, PIECE_CHARACTERS)
    place = place if place > 0 else PIECE_CHARACTERS
    return text[:place], text[place:].lstrip(" ")
