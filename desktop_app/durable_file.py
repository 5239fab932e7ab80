"""Write files so that a crash or power cut leaves the old or the new one, never half of it."""

import os
from pathlib import Path


def write_synced(file: Path, text: str) -> None:
    """Replace `file` by `text` so that after a power cut it is the old or the new one, never half of it."""
    aside = file.with_name(f".{file.name}.{os.getpid()}.tmp")
    with aside.open("w", encoding="utf-8", newline="\n") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    aside.replace(file)
    sync_dir(file.parent)


def write_private(file: Path, text: str) -> None:
    """Replace `file` by `text` that only this user can read, from its first byte on."""
    aside = file.with_name(f".{file.name}.{os.getpid()}.tmp")
    aside.unlink(missing_ok=True)
    handle = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as stream:
        stream.write(text)
    aside.replace(file)


def sync_dir(folder: Path) -> None:
    """Make renames in `folder` survive a power cut; Windows does that by itself and cannot open folders."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
