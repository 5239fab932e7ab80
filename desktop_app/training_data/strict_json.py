"""JSON as its standard has it: no NaN, no key twice, no number that Python cannot hold.

What is wrong is noted and not raised, so that a reader of an array still learns where the element ends.
"""

import json
from typing import Any

from .row import first_repeated


class StrictDecoder:
    """Decode JSON values and note why a value is no good data; `problem` is about the last one."""

    def __init__(self) -> None:
        self.problem = ""
        self._decoder = json.JSONDecoder(
            object_pairs_hook=self._object,
            parse_constant=self._constant,
            parse_int=self._integer,
            parse_float=self._float,
        )

    def decode(self, text: str) -> Any:
        """Decode a text that is one JSON value.

        Raises:
            ValueError: if it is not JSON.
        """
        self.problem = ""
        return self._decoder.decode(text)

    def decode_at(self, text: str, index: int) -> tuple[Any, int]:
        """Decode the value that starts at `index` and return it with the index after it.

        Raises:
            ValueError: if no complete value starts there.
        """
        self.problem = ""
        return self._decoder.raw_decode(text, index)

    def _note(self, problem: str) -> None:
        self.problem = self.problem or problem

    def _object(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(pairs)
        if len(made) < len(pairs):
            twice = first_repeated(key for key, _ in pairs)
            self._note(f"the key {twice[:60]!r} stands twice in one object")
        return made

    def _constant(self, name: str) -> None:
        self._note(f"{name} is no JSON number")

    def _integer(self, digits: str) -> int:
        try:
            return int(digits)
        except ValueError:  # more digits than Python converts
            self._note(f"a number with {len(digits)} digits")
            return 0

    def _float(self, digits: str) -> float:
        value = float(digits)
        if value in (float("inf"), float("-inf")):
            self._note(f"the number {digits[:40]} is too large")
        return value


def told(error: ValueError | RecursionError) -> str:
    """Say in words why a text is not JSON, for a value that was read whole."""
    if isinstance(error, RecursionError):
        return "nested too deeply"
    if isinstance(error, json.JSONDecodeError):
        return f"not JSON: {error.msg} at column {error.colno}"
    return f"not JSON: {error}"


def shown(value: object) -> str:
    """Name a JSON value in a message, shortened."""
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list"
    if value is None:
        return "null"
    text = repr(value)[:60]
    return f"the text {text}" if isinstance(value, str) else text
