"""The user's edits of rows, in a small JSON-lines file beside the untouched data.

Each file that was edited is known by its size and a hash of both of its ends: edits of a file that has changed
since are refused, for they would hit other rows.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from desktop_app.domain.data_choice import RowEdit
from desktop_app.domain.data_report import EditSummary
from desktop_app.durable_file import write_synced
from desktop_app.errors import DataError, StorageError

SUFFIX = ".edits"
_VERSION = 1
_END_BYTES = 64 * 1024
_LIMIT_BYTES = 256 * 1024 * 1024
_DISCARD = "Discard the edits, or bring the file back as it was."


@dataclass(slots=True)
class FileEdits:
    """Edits of one file by row number: a whole new row, or None for a row that is left out."""

    mark: str
    rows: dict[int, dict[str, Any] | None] = field(default_factory=dict)


@dataclass(slots=True)
class Overlay:
    """All edits of a choice of data; `added` rows come after those of all files."""

    files: dict[str, FileEdits] = field(default_factory=dict)
    added: list[dict[str, Any]] = field(default_factory=list)

    def rows_of(self, file: Path, folder: Path) -> dict[int, dict[str, Any] | None]:
        """Return the edits of one file; `folder` is that of the overlay.

        Raises:
            DataError: the file is not the one that was edited.
        """
        edits = self.files.get(_key(file, folder))
        if edits is None:
            return {}
        if edits.mark != _mark(file):
            raise DataError(f"{file.name} has changed since its rows were edited.", _DISCARD)
        return edits.rows

    def apply(self, edits: Iterable[RowEdit], folder: Path) -> None:
        """Take edits in; a later one of the same row replaces the earlier."""
        for edit in edits:
            if edit.action == "add" and edit.row is not None:
                self.added.append(edit.row)
            elif edit.action == "restore" and not edit.source:
                del self.added[edit.number - 1 : edit.number]
            else:
                self._apply_to_row(edit, folder)

    def _apply_to_row(self, edit: RowEdit, folder: Path) -> None:
        key = _key(Path(edit.source), folder)
        if edit.action == "restore":
            if key in self.files:
                self.files[key].rows.pop(edit.number, None)
                if not self.files[key].rows:
                    del self.files[key]
            return
        if key not in self.files:
            self.files[key] = FileEdits(_mark(Path(edit.source)))
        self.files[key].rows[edit.number] = edit.row if edit.action == "change" else None

    def summary(self, path: str) -> EditSummary:
        """Count the edits."""
        rows = [row for edits in self.files.values() for row in edits.rows.values()]
        left_out = sum(row is None for row in rows)
        return EditSummary(path=path, changed=len(rows) - left_out, left_out=left_out, added=len(self.added))


def overlay_path(first_file: Path) -> Path:
    """Name the overlay of a choice of data by its first file or folder."""
    return first_file.with_name(first_file.name + SUFFIX)


def read_overlay(path: Path) -> Overlay:
    """Read an overlay file.

    Raises:
        DataError: it cannot be read, or is none.
    """
    overlay = Overlay()
    try:
        if path.stat().st_size > _LIMIT_BYTES:
            raise ValueError("it is larger than edits can be (256 MB)")
        lines = path.read_text(encoding="utf-8").splitlines()  # written with escapes: no other line ends inside
        if not lines or json.loads(lines[0]) != {"edits": _VERSION}:
            raise ValueError("its first line is not that of an edits file")
        for line in lines[1:]:
            _read_line(overlay, json.loads(line))
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise DataError(
            f"The edits in {path} cannot be read: {error}.", "Discard them, or bring the file back."
        ) from error
    return overlay


def write_overlay(path: Path, overlay: Overlay) -> EditSummary:
    """Replace an overlay file; one without edits is removed.

    Raises:
        StorageError: it cannot be written.
    """
    summary = overlay.summary(str(path))
    try:
        if not (summary.changed or summary.left_out or summary.added):
            path.unlink(missing_ok=True)
            return summary.model_copy(update={"path": ""})
        write_synced(path, "".join(json.dumps(line) + "\n" for line in _lines(overlay)))
    except OSError as error:
        raise StorageError(
            f"The edits cannot be kept beside the data: {path}: {error.strerror}.",
            "Copy the data into a folder that can be written, and choose it there.",
        ) from error
    return summary


def _lines(overlay: Overlay) -> Iterable[dict[str, Any]]:
    yield {"edits": _VERSION}
    for name, edits in overlay.files.items():
        left_out = sorted(number for number, row in edits.rows.items() if row is None)
        yield {"file": name, "mark": edits.mark, "left_out": _ranges(left_out)}
        for number, row in sorted(edits.rows.items()):
            if row is not None:
                yield {"file": name, "number": number, "row": row}
    for row in overlay.added:
        yield {"add": row}


def _read_line(overlay: Overlay, line: Mapping[str, Any]) -> None:
    if "add" in line:
        overlay.added.append(dict(line["add"]))
    elif "mark" in line:
        edits = overlay.files[line["file"]] = FileEdits(line["mark"])
        for first, last in line["left_out"]:
            edits.rows.update(dict.fromkeys(range(first, last + 1)))
    else:
        overlay.files[line["file"]].rows[int(line["number"])] = dict(line["row"])


def _ranges(numbers: Sequence[int]) -> list[list[int]]:
    ranges: list[list[int]] = []
    for number in numbers:
        if ranges and ranges[-1][1] == number - 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    return ranges


def _key(file: Path, folder: Path) -> str:
    """Name a file relative to the overlay, so that both can move together."""
    file = file.absolute()
    return file.relative_to(folder).as_posix() if file.is_relative_to(folder) else str(file)


def _mark(file: Path) -> str:
    try:
        with file.open("rb") as stream:
            digest = hashlib.sha256(stream.read(_END_BYTES))
            size = stream.seek(0, 2)
            stream.seek(max(0, size - _END_BYTES))
            digest.update(stream.read(_END_BYTES))
    except OSError as error:
        raise DataError(f"{file} cannot be read: {error.strerror}.", "Check the path and its permissions.") from error
    return f"{size}-{digest.hexdigest()[:32]}"
