"""The user's own words about models: tags and a note for each, by its path.

In a file of its own, written synced, because nothing can make it again; a damaged one is kept aside.
"""

import json
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from desktop_app.domain.job import tidy_tags
from desktop_app.domain.value import Value
from desktop_app.durable_file import write_synced
from desktop_app.errors import StorageError
from desktop_app.paths import make_private_dir

LONGEST_NOTE = 4000


class ModelNote(Value):
    """What the user says about one model."""

    tags: tuple[str, ...] = ()
    note: str = ""


_NOTES = TypeAdapter(dict[str, ModelNote])


@dataclass(slots=True)
class ModelNotes:
    """All notes by path, read once; every change is on the disk when its call returns."""

    file: Path
    notes: dict[str, ModelNote]

    @classmethod
    def read(cls, file: Path) -> "ModelNotes":
        """Read the file; a missing or damaged one gives no notes."""
        try:
            return cls(file, _NOTES.validate_json(file.read_bytes()))
        except FileNotFoundError:
            pass
        except (OSError, ValidationError):
            _move_aside(file)
        return cls(file, {})

    def of(self, path: str) -> ModelNote:
        """Return what is noted about a model, an empty note if nothing is."""
        return self.notes.get(path, ModelNote())

    @property
    def all_tags(self) -> list[str]:
        """Every tag in use, in the order of the alphabet."""
        return sorted({tag for note in self.notes.values() for tag in note.tags}, key=str.lower)

    def set(self, path: str, tags: Iterable[str], note: str) -> ModelNote:
        """Keep tags and note of a model, tidied: no empty or double tag, none longer than 40 characters.

        Raises:
            StorageError: they cannot be written.
        """
        kept = ModelNote(tags=tidy_tags(tags), note=note.strip()[:LONGEST_NOTE])
        notes = {**self.notes, path: kept}
        if kept == ModelNote():
            del notes[path]
        self._write(notes)
        return kept

    def move(self, path: str, new_path: str) -> None:
        """Let the words follow a model that has another path now.

        Raises:
            StorageError: they cannot be written.
        """
        if path in self.notes:
            notes = dict(self.notes)
            notes[new_path] = notes.pop(path)
            self._write(notes)

    def _write(self, notes: dict[str, ModelNote]) -> None:
        if notes == self.notes:
            return
        text = json.dumps({path: note.model_dump() for path, note in notes.items()}, ensure_ascii=False, indent=1)
        try:
            make_private_dir(self.file.parent)
            write_synced(self.file, text)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise StorageError(f"{self.file} cannot be written: {reason}.", "Free some space.") from error
        self.notes = notes


def _move_aside(file: Path) -> None:
    try:
        file.replace(file.with_name(f"{file.stem}.damaged-{time.strftime('%Y%m%d-%H%M%S')}.json"))
    except OSError:
        pass  # unreadable and immovable: the first change will say so
