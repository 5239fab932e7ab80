"""Free what jobs hold on the disk, without taking them out of the history."""

import shutil
from pathlib import Path

from desktop_app.disk_use import half_done, orphans
from desktop_app.domain.job import KINDS_THAT_GO_ON
from desktop_app.errors import JobError, StorageError
from desktop_app.hardware.disk import folder_bytes
from desktop_app.job_folder import JobFolder

from .submit import folder_of

_GOES_ON = ("quantize", *KINDS_THAT_GO_ON)  # from what is whole of a half-written result


def free_job(job_id: str) -> int:
    """Remove a job's checkpoints and what it left half done; return the bytes. Its result, log and figures stay.

    Raises:
        JobError: there is no such job, or it has not ended.
        StorageError: something cannot be removed.
    """
    folder = folder_of(job_id)
    if not folder.has_outcome:
        raise JobError(f"Job {job_id} has not ended; it needs its checkpoints.", "Cancel it first.")
    return sum(map(_remove, [*half_done(folder), folder.checkpoints_dir]))


def clear_useless(folder: JobFolder, kind: str) -> None:
    """Remove what a job that ended without a result left half done and cannot go on from, as an end by force does."""
    if kind in _GOES_ON:
        return
    for part in half_done(folder):
        shutil.rmtree(part, ignore_errors=True)


def free_orphan(path: str) -> int:
    """Remove a half-written folder whose job is no longer there; return its bytes.

    Raises:
        StorageError: it is none of those, or cannot be removed.
    """
    if Path(path) not in orphans():
        raise StorageError(f"{path} is no half-written folder of a job that is gone.", "Look at the disk again.")
    return _remove(Path(path))


def _remove(path: Path) -> int:
    size = folder_bytes(path)
    if not path.exists():
        return 0
    try:
        shutil.rmtree(path)
    except OSError as error:
        raise StorageError(
            f"{path} cannot be removed: {error.strerror}.", "Close programs that use its files, then try again."
        ) from error
    return size
