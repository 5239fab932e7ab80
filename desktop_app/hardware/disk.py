"""Free space on disks, the size of folders, and the largest file that a disk can hold."""

import os
import shutil
from pathlib import Path

import psutil

from desktop_app.errors import StorageError

# Tokenizer, configs, manifest and console log beside the weights.
SMALL_FILES_BYTES = 20_000_000


def free_bytes(path: Path) -> int:
    """Return the free space of the volume on which `path` lies or will lie; parents may not exist yet.

    Raises:
        StorageError: the volume cannot be asked.
    """
    place = Path(path).absolute()
    try:
        while not place.is_dir() and place != place.parent:
            place = place.parent
        return shutil.disk_usage(place).free
    except OSError as error:
        raise StorageError(
            f"The free space of {path} cannot be found out: {error.strerror}.", "Choose another folder."
        ) from error


def check_space(needed_bytes: int, *folders: Path) -> None:
    """Refuse to start what cannot be written down.

    Raises:
        StorageError: a folder's volume has less than `needed_bytes` and a little more free.
    """
    needed = needed_bytes + SMALL_FILES_BYTES
    for folder in folders:
        free = free_bytes(folder)
        if free < needed:
            raise StorageError(
                f"The disk of {folder} has {free / 1e6:,.0f} MB free; about {needed / 1e6:,.0f} MB are needed.",
                "Free some space, or choose another output folder.",
            )


# FAT counts a file's bytes in 32 bits. By the names that Linux, Windows and macOS give it.
_FAT = {"vfat", "msdos", "fat", "fat12", "fat16", "fat32"}
_FAT_LARGEST_BYTES = 2**32 - 1


def file_system(path: Path) -> str:
    """Name the file system on which `path` lies or will lie, in lower case: 'ext4', 'vfat'; '' if nobody says."""
    place = Path(path).absolute()
    while not place.exists() and place != place.parent:
        place = place.parent
    place = place.resolve()
    try:
        mounts = psutil.disk_partitions(all=True)
    except OSError:
        return ""
    above = [mount for mount in mounts if place.is_relative_to(mount.mountpoint)]
    # The innermost one counts, and of several at one place the last.
    nearest = max(enumerate(above), key=lambda item: (len(Path(item[1].mountpoint).parts), item[0]), default=None)
    return "" if nearest is None else str(nearest[1].fstype).lower()


def largest_file_bytes(path: Path) -> int | None:
    """Return the size of the largest file that can be written at `path`; None where there is no limit to speak of."""
    return _FAT_LARGEST_BYTES if file_system(path) in _FAT else None


def refuse_too_large(path: Path, name: str, size_bytes: int, hint: str) -> None:
    """Refuse a file that the disk of `path` cannot hold, before any of it is written.

    Raises:
        StorageError: the disk is formatted as FAT and the file is larger than 4 GB.
    """
    largest = largest_file_bytes(path)
    if largest is not None and size_bytes > largest:
        raise StorageError(
            f"{name} has {size_bytes / 1e9:.1f} GB; the disk of {path} is formatted as FAT, which holds files of "
            "4.2 GB at most.",
            hint,
        )


def folder_bytes(folder: Path) -> int:
    """Return the size of a file, or of all files below a folder; what may not be read counts nothing."""
    if folder.is_file():
        return folder.stat().st_size
    total = 0
    for root, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(root, name)).st_size  # noqa: PTH118 - thousands of files
            except OSError:
                continue
    return total
