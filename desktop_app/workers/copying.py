"""Copy files so that every byte is known to have arrived: hashed while they are read, read back, and compared.

What was copied is written down after each file, so that a second attempt goes on where the first one ended.
"""

import hashlib
import json
import os
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Protocol

from desktop_app.durable_file import write_synced
from desktop_app.errors import StorageError

from .byte_progress import ByteProgress

JOURNAL = ".copied.json"
# What reading raises: the disk, or a damaged zip file.
_BROKEN = (OSError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError)
_BLOCK_BYTES = 4 * 1024 * 1024
_SYNC_BYTES = 64 * 1024 * 1024


class SupportsWrite(Protocol):
    """Where bytes can be written."""

    def write(self, block: bytes, /) -> object:
        """Take a block."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A file to copy: where it lies, its name in the copy (with slashes), its size and time of change.

    `sha256`: what it must be, '' if nobody says. `reading` opens it, where it is no file of its own.
    """

    path: Path
    name: str
    size: int
    changed_ns: int
    sha256: str = ""
    reading: Callable[[], IO[bytes]] | None = None

    def open(self) -> IO[bytes]:
        """Open it for reading."""
        return self.path.open("rb") if self.reading is None else self.reading()


def copy_files(sources: list[Source], part: Path, progress: ByteProgress) -> dict[str, str]:
    """Copy all files into `part` and return their SHA-256 by name; what an earlier attempt copied stays.

    Each file counts once in `progress`.

    Raises:
        StorageError: a file cannot be read or written, or changed while it was copied.
        CancelledByUser: the user cancelled; what was copied until then stays.
    """
    journal = _read_journal(part / JOURNAL)
    digests: dict[str, str] = {}
    for source in sources:
        target = part / source.name
        entry = journal.get(source.name)
        if entry is None or entry[:2] != [source.size, source.changed_ns] or not _has_size(target, source.size):
            entry = [source.size, source.changed_ns, copied(source, target, progress)]
            journal[source.name] = entry
            write_synced(part / JOURNAL, json.dumps(journal))
        else:
            progress.add(source.size)
        digests[source.name] = str(entry[2])
    return digests


def check_copies(part: Path, digests: dict[str, str], progress: ByteProgress) -> None:
    """Read all files of `part` back from the disk and compare them with their SHA-256.

    Raises:
        StorageError: one differs.
        CancelledByUser: the user cancelled.
    """
    for name, digest in digests.items():
        if file_digest(part / name, progress, from_disk=True) != digest:
            (part / JOURNAL).unlink(missing_ok=True)
            raise StorageError(
                f"{name} was not written as it was read: its checksum differs.",
                "The disk or its cable may be faulty. Check it, then run this again.",
            )


def file_digest(file: Path, progress: ByteProgress, from_disk: bool = False) -> str:
    """Return the SHA-256 of a file; `from_disk` asks the system to forget what it holds of it in memory.

    Raises:
        StorageError: it cannot be read.
        CancelledByUser: the user cancelled.
    """
    digest = hashlib.sha256()
    try:
        with file.open("rb") as stream:
            if from_disk and hasattr(os, "posix_fadvise"):
                os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            while block := stream.read(_BLOCK_BYTES):
                digest.update(block)
                progress.add(len(block))
    except OSError as error:
        raise StorageError(f"{file} cannot be read: {error.strerror}.", "Is the disk still there?") from error
    return digest.hexdigest()


def copied(source: Source, target: Path, progress: ByteProgress) -> str:
    """Copy one file and return its SHA-256. Raises as `copy_files`."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("wb") as writing:
        digest = copied_into(source, _ToDisk(writing), progress)
        writing.flush()
        os.fsync(writing.fileno())
    return digest


class _ToDisk:
    """A file that waits for its disk every 64 MB.

    Without it the system takes gigabytes into memory at once and writes them to a slow stick after the last block:
    the progress would stand at the end for minutes, with a speed that never was and a Cancel that nobody hears.
    """

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._unsynced = 0

    def write(self, block: bytes) -> None:
        """Write a block."""
        self._stream.write(block)
        self._unsynced += len(block)
        if self._unsynced >= _SYNC_BYTES:
            self._stream.flush()
            os.fsync(self._stream.fileno())
            self._unsynced = 0


def copied_into(source: Source, writing: SupportsWrite, progress: ByteProgress) -> str:
    """Copy one file into an open stream and return its SHA-256. Raises as `copy_files`."""
    digest = hashlib.sha256()
    count = 0
    try:
        reading = source.open()
    except _BROKEN as error:
        raise _unreadable(source, error) from error
    with reading:
        while block := _read(reading, source):
            digest.update(block)
            writing.write(block)
            count += len(block)
            progress.add(len(block))
    if count != source.size:
        raise StorageError(
            f"{source.path} had {source.size:,} bytes and gave {count:,}: it changed while it was copied.",
            "Wait until nothing writes to it, then run this again.",
        )
    if source.sha256 and digest.hexdigest() != source.sha256:
        raise StorageError(
            f"{source.name} is damaged: its checksum is not the one that is listed.",
            "Copy it again from where it was made, then run this again.",
        )
    return digest.hexdigest()


def _read(stream: Any, source: Source) -> bytes:
    try:
        block: bytes = stream.read(_BLOCK_BYTES)
    except _BROKEN as error:
        raise _unreadable(source, error) from error
    return block


def _unreadable(source: Source, error: Exception) -> StorageError:
    if not isinstance(error, OSError):
        return StorageError(f"{source.name} is damaged: {error}.", "Copy it again from where it was made.")
    return StorageError(
        f"{source.path} cannot be read: {error.strerror}.",
        "Was the disk or stick pulled out? Put it back and resume; what is copied already stays.",
    )


def _read_journal(file: Path) -> dict[str, list[Any]]:
    try:
        journal = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return {}
    if not isinstance(journal, dict):
        return {}
    return {name: entry for name, entry in journal.items() if isinstance(entry, list) and len(entry) == 3}


def _has_size(file: Path, size: int) -> bool:
    try:
        return file.stat().st_size == size
    except OSError:
        return False
