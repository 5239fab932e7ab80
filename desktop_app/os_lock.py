"""A lock that the operating system frees when its holder dies, however it dies.

Held on an open file, never by a file's mere existence, so nothing is ever left to unlock by hand.
"""

import os
import sys
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from .errors import StorageError
from .paths import make_private_dir

# Windows locks bytes against reading too: this one lies beyond what `note` writes.
_LOCKED_BYTE = 1 << 20


class OsLock:
    """One process at a time; leaving a `with` block frees it."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._stream: BinaryIO | None = None

    @property
    def is_held(self) -> bool:
        """Whether this object holds the lock."""
        return self._stream is not None

    def acquire(self) -> bool:
        """Take the lock if it is free; return whether it is held now. Never waits.

        Raises:
            StorageError: if the lock's file cannot be opened, or its drive has no locks.
        """
        if self._stream is not None:
            return True
        try:
            make_private_dir(self.file.parent)
            stream = self.file.open("a+b")
        except OSError as error:
            raise StorageError(
                f"{self.file} cannot be opened: {error.strerror}.",
                "Make its folder writable, or choose another one (WHETSTONE_DATA_DIR).",
            ) from error
        try:
            taken = _lock(stream) and _is_still_at(stream, self.file)
        except OSError as error:
            stream.close()
            raise StorageError(
                f"{self.file} cannot be locked: {error.strerror}.",
                "Some network drives have no locks; choose another data folder (WHETSTONE_DATA_DIR).",
            ) from error
        if not taken:
            stream.close()
            return False
        self._stream = stream
        return True

    def note(self, text: str) -> None:
        """Write a line for people and other processes into the held file, for example the holder's pid."""
        if self._stream is not None:
            self._stream.truncate(0)
            self._stream.write(text.encode())
            self._stream.flush()

    def release(self) -> None:
        """Free the lock; without effect if it is not held."""
        if self._stream is not None:
            _unlock(self._stream)
            self._stream.close()
            self._stream = None

    def __enter__(self) -> "OsLock":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def _is_still_at(stream: BinaryIO, file: Path) -> bool:
    """A file that was deleted and made anew meanwhile would be locked by two."""
    try:
        return os.path.samestat(os.fstat(stream.fileno()), file.stat())
    except OSError:
        return False


if sys.platform == "win32":
    import msvcrt

    def _lock(stream: BinaryIO) -> bool:
        stream.seek(_LOCKED_BYTE)
        try:
            msvcrt.locking(stream.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def _unlock(stream: BinaryIO) -> None:
        stream.seek(_LOCKED_BYTE)
        msvcrt.locking(stream.fileno(), msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def _lock(stream: BinaryIO) -> bool:
        try:
            fcntl.flock(stream.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _unlock(stream: BinaryIO) -> None:
        fcntl.flock(stream.fileno(), fcntl.LOCK_UN)
