"""Read a JSON file that somebody else made, within bounds of size, depth and numbers.

Knows nothing about models; every refusal is a ModelError that names the file and the number.
"""

import json
from pathlib import Path
from typing import Any

from desktop_app.errors import ModelError

MAX_DEPTH = 64
_LARGEST_INTEGER = 2**63


def read_json_object(file: Path, max_bytes: int) -> dict[str, Any]:
    """Read `file` as one JSON object.

    Raises:
        ModelError: it cannot be read, is larger than `max_bytes`, no JSON object, nested deeper than 64,
            or holds a number beyond 64 bits.
    """
    try:
        size = file.stat().st_size
        if size > max_bytes:
            raise ModelError(
                f"{file.name} has {size:,} bytes; a file of its kind has at most {max_bytes:,}.",
                "Get the model again from where it came from.",
            )
        with file.open("rb") as stream:
            raw = stream.read(max_bytes + 1)
    except OSError as error:
        raise ModelError(
            f"{file} cannot be read: {error.strerror}.", "Check that you may read it, then look again."
        ) from error
    return parse_json_object(raw, file.name)


def parse_json_object(raw: bytes, name: str) -> dict[str, Any]:
    """Parse one JSON object within the same bounds; `name` stands for it in messages.

    Raises:
        ModelError: as `read_json_object`.
    """
    again = "Get the file again from where the model came from."
    try:
        value = json.loads(raw.decode("utf-8-sig"))
    except RecursionError as error:
        raise ModelError(f"{name} is nested deeper than {MAX_DEPTH} levels.", again) from error
    except UnicodeDecodeError as error:
        raise ModelError(f"{name} is not UTF-8 text (byte {error.start:,}).", again) from error
    except json.JSONDecodeError as error:
        raise ModelError(f"{name} is not JSON (line {error.lineno}, column {error.colno}).", again) from error
    except ValueError as error:  # Python refuses integers of more than 4300 digits
        raise ModelError(f"{name} holds a number of more than 4,300 digits.", again) from error
    if not isinstance(value, dict):
        raise ModelError(f"{name} holds a {type(value).__name__}, not a JSON object.", again)
    _check_bounds(value, name, again)
    return value


def _check_bounds(value: dict[str, Any], name: str, hint: str) -> None:
    level: list[Any] = [value]
    depth = 0
    while level:
        depth += 1
        if depth > MAX_DEPTH:
            raise ModelError(f"{name} is nested deeper than {MAX_DEPTH} levels.", hint)
        below: list[Any] = []
        for node in level:
            pairs = node.items() if isinstance(node, dict) else enumerate(node)
            for key, child in pairs:
                if isinstance(child, dict | list):
                    below.append(child)
                elif isinstance(child, int) and abs(child) > _LARGEST_INTEGER:
                    raise ModelError(f"{name}: {key} is {shown(child)}, too large for any model.", hint)
        level = below


def shown(value: object) -> str:
    """Write a value for a message, shortened."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
