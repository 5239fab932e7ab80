"""The newest lines of a console log as a terminal would show them.

Takes raw bytes in any cut, understands carriage returns and erases colours and other escape sequences.
Keeps a ring of lines, so that a worker that prints without end costs no memory.
"""

import codecs
import re
from collections import deque

MAX_LINES = 2000
MAX_LINE_CHARS = 2000
# ECMA-48: CSI sequences, OSC and other strings ended by BEL or ST, two-character escapes.
_ESCAPE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|[\]PX^_].*?(?:\x07|\x1b\\)|[ -/]*[0-~])", re.DOTALL)
_ESCAPE_BEGUN = re.compile(r"\x1b(?:\[[0-?]*[ -/]*|[\]PX^_][^\x07\x1b]{0,512}\x1b?|[ -/]*)?\Z", re.DOTALL)
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


class LogText:
    """A ring of whole lines, the line that is still being written, and how many lines there were in all."""

    def __init__(self, max_lines: int = MAX_LINES) -> None:
        self.lines: deque[str] = deque(maxlen=max_lines)
        self.open_line = ""
        self.count = 0
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._begun = ""
        self._is_torn = False

    def skip(self) -> None:
        """Say that bytes are left out here: the line they cut is dropped up to its end."""
        self._decoder.reset()
        self._begun = self.open_line = ""
        self._is_torn = True

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the log, cut anywhere."""
        text = self._begun + self._decoder.decode(data)
        begun = _ESCAPE_BEGUN.search(text)
        self._begun = text[begun.start() :] if begun else ""
        if self._begun:
            text = text[: -len(self._begun)]
        text = _ESCAPE.sub("", text).replace("\r\n", "\n")
        # A lone \r at the end may be half of \r\n: it stays in the open line until more is known.
        *whole, last = text.split("\n")
        for piece in whole:
            self._end_line(self.open_line + piece)
            self.open_line = ""
        self.open_line = _kept(self.open_line + last)

    @property
    def shown_open_line(self) -> str:
        """The line that is being written, as a terminal shows it now."""
        return "" if self._is_torn else _as_shown(self.open_line)

    def text(self) -> str:
        """All kept lines as one text, for the clipboard."""
        tail = self.shown_open_line
        return "\n".join([*self.lines, tail] if tail else self.lines)

    def since(self, count: int) -> list[str]:
        """Return the kept lines after the first `count` of all; what fell out of the ring is left out."""
        new = min(self.count - count, len(self.lines))
        return [] if new <= 0 else list(self.lines)[-new:]

    def _end_line(self, raw: str) -> None:
        if self._is_torn:
            self._is_torn = False
            return
        self.lines.append(_as_shown(raw.removesuffix("\r")))
        self.count += 1


def _kept(raw: str) -> str:
    """Bound the open line: what a carriage return will overwrite anyway, and endless lines, are dropped."""
    if len(raw) <= 4 * MAX_LINE_CHARS:
        return raw
    ending = "\r" if raw.endswith("\r") else ""
    return _as_shown(raw) + ending


def _as_shown(raw: str) -> str:
    shown = ""
    if "\r" in raw:
        for part in raw.split("\r"):
            shown = part + shown[len(part) :]
    else:
        shown = raw
    shown = _CONTROL.sub("", shown).expandtabs(8).rstrip()
    return shown if len(shown) <= MAX_LINE_CHARS else shown[: MAX_LINE_CHARS - 1] + "…"
