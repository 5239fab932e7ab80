"""A result folder that is complete and verified, or not there at all.

Written into `.NAME.part-JOB` on the same volume, synced, listed in `manifest.json`, checked by the
caller, then given its name by one rename.
"""

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from .durable_file import move_into_place, sync_dir, write_synced
from .errors import StorageError

MANIFEST = "manifest.json"
_MADE_FOR = ".made-for"
_BLOCK_BYTES = 4 * 1024 * 1024


class ResultFolder:
    """Where a worker writes its result, until `finish` gives it its final name."""

    def __init__(self, final: Path, job_id: str, made_for: str = "") -> None:
        """Prepare a `.part` folder beside `final`, empty unless an earlier attempt was made for the same.

        `made_for` names everything that decides about the bytes; without it nothing is ever taken over.

        Raises:
            StorageError: if `final` exists already, or its parent cannot be written.
        """
        self.final = final.absolute()
        self.job_id = job_id
        self.part = part_folder(self.final, job_id)
        if self.final.exists() and (not self.final.is_dir() or any(self.final.iterdir())):
            raise StorageError(f"{self.final} exists already.", "Choose another output folder, or move that one away.")
        try:
            if self.part.exists() and not (made_for and _read_text(self.part / _MADE_FOR) == made_for):
                shutil.rmtree(self.part)
            self.part.mkdir(parents=True, exist_ok=True)
            if made_for:
                write_synced(self.part / _MADE_FOR, made_for)
        except OSError as error:
            raise StorageError(
                f"{self.final.parent} cannot be written: {error.strerror}.", "Choose another output folder."
            ) from error

    def finish(
        self, about: dict[str, Any], verify: Callable[[Path], None], digests: Mapping[str, str] | None = None
    ) -> Path:
        """Sync, list and verify the written files, then show them under the final name.

        `about` goes into the manifest beside the files: versions, sources, spec. `verify` gets the part
        folder and raises if what stands there is not right; then nothing is shown. `digests` are the SHA-256 of
        files that were just read back, so that they need not be read again.

        Raises:
            StorageError: no space, or the rename failed.
        """
        try:
            for leftover in self.part.rglob(".*.part"):
                leftover.unlink()  # of an attempt that was cut off
            _make_readable_and_sync(self.part)
            verify(self.part)  # ended in the midst of it, what is written is still taken over
            (self.part / _MADE_FOR).unlink(missing_ok=True)
            write_manifest(self.part, {"job": self.job_id, **about}, digests)
            sync_dir(self.part)
            if self.final.exists():
                self.final.rmdir()  # only an empty folder gets here
            move_into_place(self.part, self.final)
            sync_dir(self.final.parent)
        except OSError as error:
            raise StorageError(
                f"The result cannot be written to {self.final}: {error.strerror}.",
                "Free some space, then run it again.",
            ) from error
        return self.final

    def discard(self) -> None:
        """Remove what was written so far."""
        shutil.rmtree(self.part, ignore_errors=True)


def part_folder(final: Path, job_id: str) -> Path:
    """Return where the result of a job is written until it gets its final name."""
    return final.with_name(f".{final.name}.part-{job_id}")


def copy_result(source: Path, target: Path, on_progress: Callable[[int, int], bool]) -> bool:
    """Copy a finished result folder to `target`, which appears complete or not at all.

    `on_progress` gets the bytes done and in all, and returns False to give up; then nothing is left and
    False is returned. Nothing that exists is ever overwritten.

    Raises:
        StorageError: `source` is gone, `target` exists, there is too little space, or reading or writing failed.
    """
    if not source.is_dir():
        raise StorageError(f"{source} is no longer there.", "It may have been moved, renamed or deleted.")
    if target.exists():
        raise StorageError(f"{target} exists already.", "Choose another folder; nothing is overwritten.")
    part = target.with_name(f".{target.name}.part-{os.getpid()}")
    try:
        files = [path for path in sorted(source.rglob("*")) if path.is_file()]
        total = sum(path.stat().st_size for path in files)
        free = shutil.disk_usage(target.parent).free
        if total > free:
            raise StorageError(
                f"{target.parent} has {free / 1e9:.1f} GB free, the result takes {total / 1e9:.1f} GB.",
                "Free some space or choose another disk.",
            )
        part.mkdir()
        if not _copy_files(files, source, part, total, on_progress):
            return False
        sync_dir(part)
        move_into_place(part, target)
        sync_dir(target.parent)
    except OSError as error:
        raise StorageError(
            f"The result cannot be copied to {target}: {error.strerror}.", "Choose another folder."
        ) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return True


def _copy_files(
    files: list[Path], source: Path, part: Path, total: int, on_progress: Callable[[int, int], bool]
) -> bool:
    done = 0
    for path in files:
        copy = part / path.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        with path.open("rb") as reading, copy.open("wb") as writing:
            while block := reading.read(_BLOCK_BYTES):
                writing.write(block)
                done += len(block)
                if not on_progress(done, total):
                    return False
            writing.flush()
            os.fsync(writing.fileno())
    return True


def write_manifest(folder: Path, about: dict[str, Any], digests: Mapping[str, str] | None = None) -> None:
    """List every file of `folder` with size and SHA-256 in `manifest.json`; `digests` are those known already."""
    known = digests or {}
    files = {
        (name := path.relative_to(folder).as_posix()): {
            "size": path.stat().st_size,
            "sha256": known.get(name) or sha256_of(path),
        }
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path != folder / MANIFEST
    }
    write_synced(
        folder / MANIFEST,
        json.dumps({**about, "version": 1, "files": files}, indent=2, allow_nan=False, ensure_ascii=False),
    )


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return what a folder's manifest says.

    Raises:
        StorageError: it cannot be read.
    """
    try:
        manifest = json.loads((folder / MANIFEST).read_bytes())
    except (OSError, ValueError) as error:
        raise StorageError(
            f"{folder / MANIFEST} cannot be read.", "The folder is not complete; do not use it."
        ) from error
    return manifest if isinstance(manifest, dict) else {}


def manifest_problems(folder: Path) -> list[str]:
    """Say what differs between `folder` and its manifest; empty if every size and hash agrees."""
    try:
        entries = json.loads((folder / MANIFEST).read_bytes())["files"]
        listed = {name: (entry["size"], entry["sha256"]) for name, entry in entries.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return [f"{MANIFEST} cannot be read ({type(error).__name__})"]
    problems = []
    for name, (size, digest) in listed.items():
        path = folder / name
        if not path.is_file():
            problems.append(f"{name} is missing")
        elif path.stat().st_size != size:
            problems.append(f"{name} has {path.stat().st_size} bytes, not {size}")
        elif sha256_of(path) != digest:
            problems.append(f"{name} has other content than when it was written")
    return problems


def sha256_of(file: Path) -> str:
    """Hash a file in constant memory."""
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while block := stream.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def _read_text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return ""


def _make_readable_and_sync(folder: Path) -> None:
    for path in sorted(folder.rglob("*")):
        if path.is_dir():
            sync_dir(path)
            continue
        # NOTE: safetensors writes its files for the owner alone, which stops other tools on shared disks.
        with contextlib.suppress(
            OSError
        ):  # FAT knows no rights: Linux refuses, drivers in user space have no such call
            path.chmod(0o644)
        handle = os.open(path, os.O_RDWR)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
