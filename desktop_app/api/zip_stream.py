"""A folder as a zip file that is made while it is sent: nothing is written, and memory stays constant."""

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

_BLOCK_BYTES = 1024 * 1024


class _Taken(io.RawIOBase):
    """What the zip writer wrote since it was last taken; says that it cannot seek, as a connection cannot."""

    def __init__(self) -> None:
        self._written: list[bytes] = []

    def writable(self) -> bool:
        """A zip file is written here."""
        return True

    def write(self, data: object) -> int:
        """Keep what is written."""
        block = bytes(data)  # type: ignore[call-overload]
        self._written.append(block)
        return len(block)

    def take(self) -> bytes:
        """Give what was written since the last call."""
        taken, self._written = b"".join(self._written), []
        return taken


def zipped(folder: str | Path, name: str) -> Iterator[bytes] | None:
    """Yield a zip file that holds `folder` as `name`, uncompressed (weights do not shrink); None if it is not there.

    Links are left out: they could lead anywhere.
    """
    root = Path(folder)
    return _blocks(root, name) if root.is_dir() else None


def _blocks(root: Path, name: str) -> Iterator[bytes]:
    taken = _Taken()
    with zipfile.ZipFile(taken, "w", zipfile.ZIP_STORED) as archive:
        for path in sorted(root.rglob("*")):
            if path.is_symlink() or not path.is_file():
                continue
            entry = zipfile.ZipInfo.from_file(path, f"{name}/{path.relative_to(root).as_posix()}")
            with path.open("rb") as source, archive.open(entry, "w", force_zip64=True) as target:
                while block := source.read(_BLOCK_BYTES):
                    target.write(block)
                    yield taken.take()
    yield taken.take()
