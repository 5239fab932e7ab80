"""Framed JSON between a service and its owner: 4 bytes big-endian length, then UTF-8 JSON.

Knows no methods. Before an answer may come any number of {"progress": ...}; `CANCEL` asks to end the call.
An AppError crosses as its branch of the tree, message and hint; anything else as 'bug'.
"""

import json
import struct
from typing import Any, BinaryIO

from .errors import ERROR_KINDS, AppError, ServiceError, error_kind

MAX_FRAME_BYTES = 32 * 1024 * 1024
CANCEL = {"cancel": True}


class BrokenPipe(Exception):
    """The other side sent something that is no frame, or half of one."""


def write_frame(stream: BinaryIO, value: Any) -> None:
    """Send one JSON value.

    Raises:
        ValueError: it is too large, or no JSON.
        OSError: the other side is gone.
    """
    body = json.dumps(value, ensure_ascii=False, allow_nan=False).encode("utf-8", "surrogatepass")
    if len(body) > MAX_FRAME_BYTES:
        raise ValueError(f"a frame of {len(body):,} bytes; at most {MAX_FRAME_BYTES:,} are sent")
    stream.write(struct.pack(">I", len(body)) + body)
    stream.flush()


def read_frame(stream: BinaryIO) -> Any:
    """Wait for one JSON value.

    Raises:
        EOFError: the other side has closed the pipe between two frames.
        BrokenPipe: what arrived is no frame.
    """
    start = stream.read(4)
    if not start:
        raise EOFError
    length = struct.unpack(">I", start)[0] if len(start) == 4 else MAX_FRAME_BYTES + 1
    if length > MAX_FRAME_BYTES:
        raise BrokenPipe(f"a frame begins with {start!r}")
    body = stream.read(length)
    if len(body) < length:
        raise BrokenPipe(f"a frame of {length:,} bytes ended after {len(body):,}")
    try:
        return json.loads(body.decode("utf-8", "surrogatepass"))
    except (ValueError, RecursionError) as error:
        raise BrokenPipe("a frame holds no JSON") from error


def packed_error(error: BaseException) -> dict[str, str]:
    """Turn an error into what crosses the pipe."""
    if isinstance(error, AppError):
        kind = error_kind(error)
        return {"kind": kind, "message": error.message, "hint": error.hint}
    return {"kind": "bug", "message": f"{type(error).__name__}: {error}", "hint": ""}


def unpacked_error(packed: dict[str, str]) -> AppError:
    """Turn what crossed the pipe into the error again; a bug of the other side becomes a ServiceError."""
    branches = {name: branch for branch, name in ERROR_KINDS.items()}
    branch = branches.get(packed.get("kind", ""), ServiceError)
    return branch(packed.get("message", ""), packed.get("hint", ""))
