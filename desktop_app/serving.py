"""Answer requests from a private pipe until the owner closes it: what every service and the chat worker share.

Ends the moment its owner dies, in the middle of a call too. The pipe is moved away from stdout first,
because libraries print there. A method with a parameter `progress` tells how far it is and can be cancelled.
"""

import inspect as signatures
import os
import queue
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO

from .errors import AppError, ServiceError
from .pipe import CANCEL, BrokenPipe, packed_error, read_frame, write_frame

Method = Callable[..., Any]
READY = {"ready": True}
_TELL_EVERY_S = 0.2


def serve(methods: Callable[[], Mapping[str, Method]]) -> int:
    """Serve methods until the owner is gone; return the exit code.

    `methods` is called once the pipe is safe from what libraries print, and before the first word to the owner.
    """
    requests, replies = _private_pipes()
    known = methods()
    waiting: queue.SimpleQueue[Any] = queue.SimpleQueue()
    is_cancelled = threading.Event()
    threading.Thread(target=_receive, args=(requests, waiting, is_cancelled), name="receive", daemon=True).start()
    write_frame(replies, READY)
    while True:
        request = waiting.get()
        try:
            write_frame(replies, answered(known, request, Teller(replies, is_cancelled)))
        except ValueError as error:
            write_frame(replies, {"error": packed_error(ServiceError(f"The answer cannot be sent: {error}."))})
        except OSError:
            return 0  # the owner is gone


class Cancelled(Exception):
    """The owner no longer wants the answer to the call that is worked on."""


class Teller:
    """What a method calls to say how far it is, often: `progress(done, total, ...)`; raises when it is to end."""

    def __init__(self, replies: BinaryIO, is_cancelled: threading.Event) -> None:
        self._replies = replies
        self._is_cancelled = is_cancelled
        self._told_at = 0.0

    @property
    def is_cancelled(self) -> bool:
        """Whether the owner asked for the end; for a method that has something to answer all the same."""
        return self._is_cancelled.is_set()

    def stream(self, **piece: Any) -> None:
        """Send a piece of the answer at once, however often; plain JSON values."""
        write_frame(self._replies, {"progress": piece})

    def __call__(self, done: int, total: int, **more: Any) -> None:
        """Send it to the owner, at most five times a second; `more` are plain JSON values.

        Raises:
            Cancelled: the owner asked for it. Let it pass.
        """
        if self.is_cancelled:
            raise Cancelled
        now = time.monotonic()
        if now - self._told_at >= _TELL_EVERY_S:
            self._told_at = now
            write_frame(self._replies, {"progress": {"done": done, "total": total, **more}})


def answered(methods: Mapping[str, Method], request: Any, teller: Teller | None = None) -> dict[str, Any]:
    """Carry out one request and return what is sent back."""
    try:
        method, params = methods[request["method"]], request["params"]
        if teller is not None and "progress" in signatures.signature(method).parameters:
            params = {**params, "progress": teller}
        return {"result": method(**params)}
    except Cancelled:
        return {"cancelled": True}
    except AppError as error:
        return {"error": packed_error(error)}
    except MemoryError:
        return {"error": packed_error(_too_much_memory())}
    except Exception as error:  # noqa: BLE001 - the edge of this process: the owner must get an answer
        traceback.print_exc()
        return {"error": packed_error(error)}


def _too_much_memory() -> ServiceError:
    return ServiceError("This needs more memory than is set aside for looking at files.", "Choose a smaller file.")


def _private_pipes() -> tuple[BinaryIO, BinaryIO]:
    """Take stdin and stdout for requests and replies, and let everything that is printed go to stderr."""
    requests, replies = os.dup(0), os.dup(1)
    with open(os.devnull, "rb") as nothing:  # noqa: PTH123 - a device, no path
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)
    if sys.platform == "win32":
        import msvcrt

        for handle in (requests, replies):
            msvcrt.setmode(handle, os.O_BINARY)
    return os.fdopen(requests, "rb"), os.fdopen(replies, "wb")


def _receive(requests: BinaryIO, waiting: "queue.SimpleQueue[Any]", is_cancelled: threading.Event) -> None:
    """Queue what arrives; when the owner is gone, end the process whatever it is doing."""
    while True:
        try:
            request = read_frame(requests)
            if request == CANCEL:
                is_cancelled.set()
            else:
                is_cancelled.clear()  # one for the call before came too late
                waiting.put(request)
        except (EOFError, BrokenPipe, OSError):
            os._exit(0)
