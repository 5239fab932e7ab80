"""List the files of a model folder and refuse the ones that lead out of it or are no files at all.

Looks at names and sizes only, opens nothing. The one kind of link that is followed is that of a Hugging Face
cache, where `snapshots/REVISION/file` points into `blobs/` of the same repository.
"""

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from desktop_app.errors import ModelError

MAX_FILES = 10_000
PICKLE_SUFFIXES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFiles:
    """The files of a model folder. `top` maps the names directly in it to sizes in bytes, `all` those below it too.

    Names of the latter are relative to the folder, with slashes.
    """

    folder: Path
    top: dict[str, int]
    all: dict[str, int]

    @property
    def total_bytes(self) -> int:
        """Size of all files."""
        return sum(self.all.values())

    @property
    def pickles(self) -> list[str]:
        """Names of weight files in the pickle format, which can carry code."""
        return [name for name in self.top if name.endswith(PICKLE_SUFFIXES) and not name.startswith("training_args")]


def list_model_files(folder: Path) -> ModelFiles:
    """Walk a model folder, hidden subfolders aside.

    Raises:
        ModelError: it cannot be read or has more than 10,000 files; a link leads out of it; or a name
            belongs to a pipe, device or socket.
    """
    folder = folder.absolute()
    try:
        walk = _Walk(_home_of_links(folder))
        walk.go_through(folder)
    except OSError as error:
        raise ModelError(
            f"{error.filename or folder} cannot be read: {error.strerror}.", "Check that you may read the folder."
        ) from error
    return ModelFiles(folder=folder, top=walk.top, all=walk.all)


def _home_of_links(folder: Path) -> Path:
    """Return the folder that links may not leave: a Hugging Face repository's own, else the model's."""
    real = folder.resolve()
    if real.parent.name == "snapshots" and (real.parent.parent / "blobs").is_dir():
        return real.parent.parent
    return real


class _Walk:
    def __init__(self, home: Path) -> None:
        self.home = home
        self.top: dict[str, int] = {}
        self.all: dict[str, int] = {}
        self._seen = 0
        self._below: list[Path] = []

    def go_through(self, folder: Path) -> None:
        self._top = folder
        self.top = self._visit(folder)
        while self._below:
            self._visit(self._below.pop())

    def _visit(self, folder: Path) -> dict[str, int]:
        sizes: dict[str, int] = {}
        with os.scandir(folder) as entries:
            for entry in entries:
                self._seen += 1
                if self._seen > MAX_FILES:
                    raise ModelError(
                        f"{folder} and its neighbours hold more than {MAX_FILES:,} files; no model does.",
                        "Choose the model's own folder, the one with config.json.",
                    )
                status = self._status(entry)
                if stat.S_ISDIR(status.st_mode):
                    if not entry.name.startswith("."):
                        self._below.append(Path(entry.path))
                elif stat.S_ISREG(status.st_mode):
                    sizes[entry.name] = status.st_size
                else:
                    raise ModelError(
                        f"{entry.path} is a {_kind(status.st_mode)}, not a file.", "Remove it from the model's folder."
                    )
        self.all |= {(folder / name).relative_to(self._top).as_posix(): size for name, size in sizes.items()}
        return sizes

    def _status(self, entry: "os.DirEntry[str]") -> os.stat_result:
        """Stat an entry, through a link only if that stays at home and does not lead to a folder."""
        status = entry.stat(follow_symlinks=False)
        if not stat.S_ISLNK(status.st_mode):
            return status
        target = os.path.realpath(entry.path)  # never opens what it finds
        if not Path(target).is_relative_to(self.home):
            raise ModelError(
                f"{entry.path} is a link to {target}, outside the model's folder.",
                "Replace the link by the file itself.",
            )
        try:
            status = os.lstat(target)
        except OSError as error:
            raise ModelError(
                f"{entry.path} is a link to {target}, which does not exist.",
                "Get the model again; its download is not complete.",
            ) from error
        if stat.S_ISLNK(status.st_mode) or stat.S_ISDIR(status.st_mode):
            raise ModelError(
                f"{entry.path} is a link that leads to no file: {target}.", "Replace the link by the file itself."
            )
        return status


def _kind(mode: int) -> str:
    kinds = ((stat.S_ISFIFO, "pipe"), (stat.S_ISSOCK, "socket"), (stat.S_ISCHR, "device"), (stat.S_ISBLK, "device"))
    return next((name for is_kind, name in kinds if is_kind(mode)), "special file")
