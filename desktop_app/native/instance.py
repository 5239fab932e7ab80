"""One window per user: a lock of the operating system, and where the holder can be reached.

Knows nothing of what is asked for. The address file holds a bearer token, readable by this user only;
it counts only while the lock is held, so a stale one does no harm.
"""

import contextlib
import http.client
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from desktop_app.durable_file import write_private
from desktop_app.os_lock import OsLock
from desktop_app.paths import make_private_dir, window_lock

RAISE_PATH = "/window/raise"


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where the first instance listens (127.0.0.1) and the token it takes for `RAISE_PATH`."""

    pid: int
    port: int
    token: str


class OneInstance:
    """The lock and the address beside it."""

    def __init__(self) -> None:
        self._lock = OsLock(window_lock())
        self._address_file = window_lock().with_suffix(".json")

    def acquire(self) -> bool:
        """Become the only instance; False if another is. Held until the process ends, however it ends.

        Raises:
            StorageError: if the lock's file cannot be opened.
        """
        return self._lock.acquire()

    def announce(self, port: int, token: str) -> None:
        """Tell later starts where to find this one.

        Raises:
            OSError: if it cannot be written.
        """
        make_private_dir(self._address_file.parent)
        write_private(self._address_file, json.dumps({"pid": os.getpid(), "port": port, "token": token}))

    def ask_first(self, wants_link: bool, timeout_s: float = 10.0) -> dict[str, Any] | None:
        """Ask the other instance to come forward and return what it says; None if it does not answer in time.

        It may be just starting, or just ending: then its address comes late or is the one of an earlier start.
        """
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            address = _read(self._address_file)
            answer = _ask(address, wants_link, max(0.1, end - time.monotonic())) if address else None
            if answer is not None:
                return answer
            time.sleep(0.1)
        return None

    def leave(self) -> None:
        """Take the address away and free the lock; not needed, but tidy."""
        with contextlib.suppress(OSError):
            self._address_file.unlink(missing_ok=True)
        self._lock.release()


def _read(file: Path) -> Address | None:
    try:
        content = json.loads(file.read_bytes())
        return Address(pid=int(content["pid"]), port=int(content["port"]), token=str(content["token"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _ask(address: Address, wants_link: bool, timeout_s: float) -> dict[str, Any] | None:
    connection = http.client.HTTPConnection("127.0.0.1", address.port, timeout=timeout_s)
    try:
        path = f"{RAISE_PATH}?link=1" if wants_link else RAISE_PATH
        connection.request("POST", path, headers={"Authorization": f"Bearer {address.token}"})
        response = connection.getresponse()
        answer = json.loads(response.read())
    except (OSError, ValueError, http.client.HTTPException):
        return None
    finally:
        connection.close()
    return answer if response.status == 200 and isinstance(answer, dict) else None
