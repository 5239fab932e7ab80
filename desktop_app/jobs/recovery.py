"""What a starting supervisor does first: bring the index in step with the job folders, clear away litter.

The folders are right and the index follows them, so the same steps rebuild an index that was lost.
"""

import logging
import shutil
import time
from pathlib import Path

from desktop_app.domain.job import Job
from desktop_app.job_folder import JobFolder, job_folders
from desktop_app.storage.index import Index

from .attempt import folder_gone
from .row import after_outcome, row_from_folder

TRASH_PREFIX = ".trash-"
_HALF_MADE_PREFIX = ".new-"
_HALF_MADE_AGE_S = 3600.0
_ROWS_AT_ONCE = 200  # each transaction waits for the disk, hundreds of times longer than a row takes
_LOG = logging.getLogger(__name__)


def bring_index_in_step(index: Index, jobs: Path) -> None:
    """Give every job folder its row, and every row that claims to be at work a folder or an end.

    Raises:
        StorageError: if the index cannot be read or written.
    """
    rows = {row.id: row for row in index.jobs()}
    late: list[Job] = []
    for folder in job_folders(jobs):
        row = rows.pop(folder.id, None)
        if row is None or (folder.has_outcome and not row.state.is_terminal):
            late += _read_row(folder)
        if len(late) >= _ROWS_AT_ONCE:
            index.put(*late)
            late.clear()
    index.put(*late)
    for row in rows.values():
        if (jobs / f"{TRASH_PREFIX}{row.id}").exists():  # the deletion was cut short between folder and row
            index.remove(row.id)
        elif not row.state.is_terminal:
            index.put(after_outcome(row, folder_gone(JobFolder(jobs / row.id))))


def clear_litter(jobs: Path) -> None:
    """Finish deletions that were cut short and remove half-made job folders older than an hour."""
    if not jobs.is_dir():
        return
    for path in jobs.iterdir():
        is_old = path.name.startswith(_HALF_MADE_PREFIX) and _age_s(path) > _HALF_MADE_AGE_S
        if is_old or path.name.startswith(TRASH_PREFIX):
            shutil.rmtree(path, ignore_errors=True)


def _read_row(folder: JobFolder) -> list[Job]:
    try:
        return [row_from_folder(folder)]
    except OSError as error:
        _LOG.warning("%s: cannot be read: %s", folder.id, error)
        return []


def _age_s(path: Path) -> float:
    try:
        return time.time() - path.stat().st_mtime
    except OSError:
        return 0.0
