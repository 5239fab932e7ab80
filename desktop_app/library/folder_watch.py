"""Notice cheaply that folders with models have changed: by the times of the folders, without reading any file."""

from collections.abc import Mapping
from pathlib import Path


class FolderWatch:
    """Remembers, for each searched root, the folders below it and their times of change in nanoseconds."""

    def __init__(self) -> None:
        self._folders: dict[str, dict[str, int]] = {}

    def remember(self, root: str, folders: Mapping[str, int]) -> None:
        """Take note of how a root looked when it was searched."""
        self._folders[root] = dict(folders)

    def forget(self, root: str) -> None:
        """No longer watch a root."""
        self._folders.pop(root, None)

    def changed(self) -> list[str]:
        """Return the roots in which a folder changed, came or went since; one stat for each folder."""
        return [
            root
            for root, folders in list(self._folders.items())
            if any(_time_of_change(folder) != before for folder, before in folders.items())
        ]


def _time_of_change(folder: str) -> int:
    try:
        return Path(folder).stat().st_mtime_ns
    except OSError:
        return 0
