"""The conversations of Chat, a file each; and rows that the user puts into data files of their own."""

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from desktop_app.domain.conversation import Conversation
from desktop_app.durable_file import write_synced
from desktop_app.errors import StorageError
from desktop_app.paths import make_private_dir


class Conversations:
    """All conversations in one folder; a file that cannot be read stays where it is and is left out."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def all(self) -> list[Conversation]:
        """Read them, the newest first."""
        found = []
        for file in self.folder.glob("*.json"):
            try:
                found.append(Conversation.model_validate_json(file.read_bytes()))
            except (OSError, ValidationError):
                continue
        return sorted(found, key=lambda each: (each.created, each.id), reverse=True)

    def keep(self, conversation: Conversation) -> None:
        """Write one; it is on the disk when this returns.

        Raises:
            StorageError: it cannot be written.
        """
        file = self.folder / f"{conversation.id}.json"
        try:
            make_private_dir(self.folder)
            write_synced(file, conversation.model_dump_json(indent=1))
        except (OSError, ValueError) as error:
            raise _unwritten(file, error) from error

    def delete(self, conversation_id: str) -> None:
        """Remove one.

        Raises:
            StorageError: it cannot be removed.
        """
        file = self.folder / f"{conversation_id}.json"
        try:
            file.unlink(missing_ok=True)
        except OSError as error:
            raise _unwritten(file, error) from error


def append_rows(file: Path, rows: Iterable[dict[str, Any]]) -> None:
    """Add rows to a JSONL file, which is made if it is not there; a last line without an end gets one.

    Raises:
        StorageError: it cannot be written.
    """
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    try:
        make_private_dir(file.parent)
        with file.open("a+b") as stream:
            if stream.seek(0, os.SEEK_END):
                stream.seek(-1, os.SEEK_END)
                text = text if stream.read(1) == b"\n" else "\n" + text
            stream.write(text.encode("utf-8", "replace"))
            stream.flush()
            os.fsync(stream.fileno())
    except OSError as error:
        raise _unwritten(file, error) from error


def write_new(file: Path, text: str) -> None:
    """Write an export into a file that is not there yet.

    Raises:
        StorageError: it exists, or cannot be written.
    """
    if file.exists():
        raise StorageError(f"{file} exists already.", "Choose another name.")
    try:
        write_synced(file, text)
    except (OSError, ValueError) as error:
        raise _unwritten(file, error) from error


def _unwritten(file: Path, error: Exception) -> StorageError:
    reason = getattr(error, "strerror", None) or str(error)
    return StorageError(f"{file} cannot be written: {reason}.", "Free some space, or choose another place.")
