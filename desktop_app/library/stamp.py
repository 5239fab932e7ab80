"""A short text that changes when anything in a model's folder does, by names, sizes and times; opens nothing."""

import hashlib
import os
from pathlib import Path

from .model_files import MAX_FILES

MISSING = ""


def model_stamp(path: Path) -> str:
    """Return the stamp of a model's folder or file, '' if it is not there.

    Hidden subfolders do not count. Links count by what they lead to, which is not opened.
    """
    digest = hashlib.sha256()
    try:
        if not path.is_dir():
            status = path.stat()
            return f"{status.st_size} {status.st_mtime_ns}"
        waiting, left = [path], MAX_FILES
        while waiting and left > 0:
            folder = waiting.pop()
            with os.scandir(folder) as entries:
                for entry in sorted(entries, key=lambda entry: entry.name):
                    left -= 1
                    if entry.is_dir(follow_symlinks=False):
                        if not entry.name.startswith("."):
                            waiting.append(Path(entry.path))
                    else:
                        digest.update(f"{entry.path}\0{_state(entry)}\n".encode("utf-8", "surrogatepass"))
    except OSError:
        return MISSING
    return digest.hexdigest()


def _state(entry: "os.DirEntry[str]") -> str:
    try:
        status = entry.stat()
    except OSError:  # a link to nothing
        return "gone"
    return f"{status.st_size} {status.st_mtime_ns}"
