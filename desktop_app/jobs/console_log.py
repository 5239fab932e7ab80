"""Keep what a worker prints from filling the disk, without the worker noticing.

It holds the file open, so the file is copied and cut short, never renamed; a worker that floods it in
that very moment may lose a few lines.
"""

import contextlib
import os
from pathlib import Path

from desktop_app.job_folder import JobFolder

MOST_BYTES = 8 * 1024 * 1024


def trim_console(folder: JobFolder, most_bytes: int = MOST_BYTES) -> None:
    """Move the content of a `console.log` above `most_bytes` to `console.old.log`, of which one is kept."""
    console = folder.console_file
    try:
        if console.stat().st_size <= most_bytes:
            return
        with console.open("r+b") as stream:
            stream.seek(-most_bytes, os.SEEK_END)
            _keep_newest(stream.read(), folder.old_console_file)
            stream.truncate(0)
    except OSError:
        return  # tried again at the next look


def _keep_newest(content: bytes, old: Path) -> None:
    try:
        old.write_bytes(content)
    except OSError:  # no space: cutting the log short frees some, which is worth more than its text
        with contextlib.suppress(OSError):
            old.unlink()
