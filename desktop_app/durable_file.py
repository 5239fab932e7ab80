"""Write files so that a crash or power cut leaves the old or the new one, never half of it."""

import errno
import os
import time
from pathlib import Path

# Windows refuses to move a file or folder that somebody has open: a reader of ours, a virus scanner. They let go soon.
_HELD_OPEN = (5, 32)  # ERROR_ACCESS_DENIED, ERROR_SHARING_VIOLATION
_NO_SUCH_CALL = (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP)
_PATIENCE_S = 1.5
_STEP_S = 0.02


def write_synced(file: Path, text: str) -> None:
    """Replace `file` by `text` so that after a power cut it is the old or the new one, never half of it."""
    aside = file.with_name(f".{file.name}.{os.getpid()}.tmp")
    with aside.open("w", encoding="utf-8", newline="\n") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    move_into_place(aside, file)
    sync_dir(file.parent)


def write_private(file: Path, text: str) -> None:
    """Replace `file` by `text` that only this user can read, from its first byte on."""
    aside = file.with_name(f".{file.name}.{os.getpid()}.tmp")
    aside.unlink(missing_ok=True)
    handle = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as stream:
        stream.write(text)
    move_into_place(aside, file)


def move_into_place(aside: Path, final: Path) -> None:
    """Give `aside` its final name, in place of a file of that name, also if somebody reads one of them just now.

    Raises:
        OSError: it cannot be moved; `aside` and what stood at `final` are as they were.
    """
    end = time.monotonic() + _PATIENCE_S
    while True:
        try:
            aside.replace(final)
            return
        except PermissionError as error:
            if getattr(error, "winerror", None) not in _HELD_OPEN or time.monotonic() > end:
                raise
        time.sleep(_STEP_S)


def sync_dir(folder: Path) -> None:
    """Make renames in `folder` survive a power cut; Windows does that by itself and cannot open folders.

    Disks behind a network or a driver in user space may have no such call: there nothing more can be done.
    """
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in _NO_SUCH_CALL:
            raise
    finally:
        os.close(handle)
