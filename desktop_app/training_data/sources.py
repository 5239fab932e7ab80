"""The files that a choice of paths means: files as they are, folders by the data files in them.

Nothing in a folder is ever run or imported; scripts and descriptions of a data set are left alone.
"""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from desktop_app.errors import DataError

from .reader import SUFFIXES

FILES_AT_MOST = 10_000
_DEPTH = 4
_ABOUT_THE_DATA = {
    "dataset_info.json",
    "dataset_infos.json",
    "dataset_dict.json",
    "state.json",
    "metadata.json",
    "package.json",
    "config.json",
}


def data_files(paths: Sequence[str | Path]) -> list[Path]:
    """Return the files to read, in a fixed order.

    Of a folder these are its data files by their endings; texts only if there is nothing else, since most are
    notes about the data, and the Arrow files alone where `datasets` saved to disk.

    Raises:
        DataError: a path does not exist, or a folder holds no data file.
    """
    found: dict[Path, None] = {}
    for path in map(Path, paths):
        found.update(dict.fromkeys(_in_folder(path) if path.is_dir() else [path]))
    return list(found)


def _in_folder(folder: Path) -> list[Path]:
    files = []
    for file in _walk(folder, _DEPTH):
        files.append(file)
        if len(files) > FILES_AT_MOST:
            raise DataError(f"{folder} holds more than {FILES_AT_MOST:,} data files.", "Choose a folder inside it.")
    kinds = {SUFFIXES[file.suffix.lower()] for file in files}
    for wanted in ({"arrow"}, kinds - {"text"}):
        if kinds & wanted:
            return [file for file in files if SUFFIXES[file.suffix.lower()] in wanted]
    if not files:
        raise DataError(
            f"{folder} holds no data file.", f"Known are files ending in {', '.join(sorted(SUFFIXES))}; choose another."
        )
    return files


def _walk(folder: Path, depth: int) -> Iterator[Path]:
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        raise DataError(f"{folder} cannot be read: {error.strerror}.", "Check the path and its permissions.") from error
    for entry in entries:
        if entry.name.startswith(".") or entry.name in _ABOUT_THE_DATA:
            continue
        if entry.is_dir(follow_symlinks=False):
            if depth > 1:
                yield from _walk(Path(entry.path), depth - 1)
        elif entry.is_file() and Path(entry.name).suffix.lower() in SUFFIXES:
            yield Path(entry.path)
