"""Read a bundle from another computer, a folder or a zip file, as what it is: files of a stranger.

Only names that stay inside and that a bundle has are taken; a zip gives no byte more than its list says, no link, and
nothing that swells. Knows where a bundle's files lie, not where they go.
"""

import json
import re
import stat
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from pydantic import ValidationError

from desktop_app.domain.bundle_spec import Bundle
from desktop_app.domain.download_spec import is_plain_path
from desktop_app.errors import ModelError, StorageError
from desktop_app.paths import name_problem

from .model_files import list_model_files

BUNDLE = "bundle.json"
_MOST_FILES = 10_000
_MOST_LIST_BYTES = 16 * 1024 * 1024
_MOST_GROWTH = 50  # weights do not shrink; text shrinks by ten
_SMALL_BYTES = 1_000_000
_NAMES = re.compile(
    r"(model/[^/]+/.+|tokenizer/.+|data/.+|result/.+|preset\.yaml|README\.md"
    r"|run/(spec\.json|plan\.json|outcome\.json|events\.jsonl|machine\.jsonl|console\.log|note\.txt"
    r"|checkpoints/step-\d+/.+))"
)
_AGAIN = "Copy it again from the computer that made it, or make it anew there."


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleEntry:
    """One file of a bundle, to be read; `path` is where it is said to lie in messages."""

    name: str
    path: Path
    size: int
    sha256: str
    changed_ns: int
    open: Callable[[], IO[bytes]]


class BundleReader:
    """An open bundle; a context. `bundle` is what it says, `entries` its files as listed."""

    def __init__(self, place: Path) -> None:
        """Read the list and compare names and sizes with what is there; no content is read.

        Raises:
            StorageError: it is none, is damaged, or lacks a file.
            ModelError: it names files that no bundle has.
        """
        self.place = place
        self._archive: zipfile.ZipFile | None = None
        self._infos: dict[str, zipfile.ZipInfo] = {}
        try:
            if place.is_file():
                self._open_zip()
            self.bundle = self._read_list()
            self.entries = [self._entry(name) for name in self.bundle.files]
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> "BundleReader":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the zip file."""
        if self._archive is not None:
            self._archive.close()

    def _open_zip(self) -> None:
        try:
            self._archive = zipfile.ZipFile(self.place)
        except (OSError, zipfile.BadZipFile, ValueError) as error:
            raise StorageError(f"{self.place} is no zip file that can be read: {error}.", _AGAIN) from error
        infos = [info for info in self._archive.infolist() if not info.is_dir()]
        if len(infos) > _MOST_FILES:
            raise ModelError(f"{self.place.name} holds {len(infos):,} files; no bundle does.", _AGAIN)
        prefix = next((info.filename.removesuffix(BUNDLE) for info in infos if _is_list(info.filename)), None)
        if prefix is None:
            raise StorageError(
                f"{self.place.name} is no bundle: it holds no {BUNDLE}.", "Choose the bundle's zip file."
            )
        for info in infos:
            name = info.filename.removeprefix(prefix)
            if name in self._infos:
                raise ModelError(f"{self.place.name} holds {name[:80]!r} twice.", _AGAIN)
            self._infos[name] = info

    def _read_list(self) -> Bundle:
        try:
            if self._archive is not None:
                info = self._sound(BUNDLE, self._infos[BUNDLE])
                size = info.file_size
                text = self._archive.open(info).read(_MOST_LIST_BYTES + 1) if size <= _MOST_LIST_BYTES else b""
            else:
                file = self.place / BUNDLE
                if not stat.S_ISREG(file.lstat().st_mode):
                    raise StorageError(f"{file} is no file.", _AGAIN)
                size = file.stat().st_size
                text = file.read_bytes() if size <= _MOST_LIST_BYTES else b""
            bundle = Bundle.model_validate(json.loads(text))
        except FileNotFoundError as error:
            raise StorageError(
                f"{self.place} is no bundle: it holds no {BUNDLE}.", "Choose the folder that holds it, or the zip file."
            ) from error
        except (OSError, ValueError, RecursionError, ValidationError, zipfile.BadZipFile) as error:
            raise StorageError(f"{BUNDLE} of {self.place} is damaged.", _AGAIN) from error
        for name in bundle.files:
            _check_name(name)
        if len(bundle.files) > _MOST_FILES:
            raise ModelError(f"{BUNDLE} lists {len(bundle.files):,} files; no bundle has so many.", _AGAIN)
        self._sizes = {} if self._archive is not None else list_model_files(self.place).all
        return bundle

    def _entry(self, name: str) -> BundleEntry:
        listed = self.bundle.files[name]
        if self._archive is not None:
            archive, info = self._archive, self._infos.get(name)
            size = None if info is None else self._sound(name, info).file_size
            open_it: Callable[[], IO[bytes]] = lambda: archive.open(info)  # type: ignore[arg-type] # noqa: E731
            path, changed_ns = self.place, self.place.stat().st_mtime_ns
        else:
            path = self.place / name
            size = self._sizes.get(name)
            changed_ns = path.stat().st_mtime_ns if size is not None else 0
            open_it = lambda: path.open("rb")  # noqa: E731
        if size is None:
            raise StorageError(f"{name} is missing from the bundle {self.place.name}.", _AGAIN)
        if size != listed.size:
            raise StorageError(
                f"{name} of the bundle {self.place.name} is damaged: it has {size:,} bytes, not {listed.size:,}.",
                _AGAIN,
            )
        return BundleEntry(
            name=name, path=path / name if path.is_file() else path, size=size, sha256=listed.sha256,
            changed_ns=changed_ns, open=open_it,
        )  # fmt: skip

    def _sound(self, name: str, info: zipfile.ZipInfo) -> zipfile.ZipInfo:
        """Refuse what a bundle's zip never has: links, encryption, odd packing, a file that swells."""
        kind = stat.S_IFMT(info.external_attr >> 16)
        if kind not in (0, stat.S_IFREG):
            raise ModelError(f"{name[:80]!r} in {self.place.name} is a link or a device, not a file.", _AGAIN)
        if info.flag_bits & 1 or info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ModelError(f"{name[:80]!r} in {self.place.name} is packed in a way that is not read.", _AGAIN)
        if info.file_size > max(_SMALL_BYTES, _MOST_GROWTH * info.compress_size):
            raise ModelError(
                f"{name[:80]!r} in {self.place.name} swells from {info.compress_size:,} to {info.file_size:,} bytes; "
                "no file of a bundle does.",
                "Do not use it; get the bundle from somebody you trust.",
            )
        return info


def _is_list(name: str) -> bool:
    return name == BUNDLE or (name.count("/") == 1 and name.endswith(f"/{BUNDLE}"))


def _check_name(name: str) -> None:
    parts = name.split("/")
    odd = not is_plain_path(name) or _NAMES.fullmatch(name) is None or any(part.startswith(".") for part in parts)
    if odd or any(name_problem(Path(part), on_windows=True) for part in parts):
        raise ModelError(
            f"The bundle lists {name[:80]!r}, which is no file that a bundle has.",
            "Do not use it; get the bundle from somebody you trust.",
        )
