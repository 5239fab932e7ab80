"""What a supervisor has judged and seen, written to job folders and index, and written again if the disk was full.

An end is written to the job's folder first, then to the index: the folder is what counts.
"""

import logging
import time
from pathlib import Path

from desktop_app.domain.job import Job
from desktop_app.errors import StorageError
from desktop_app.job_folder import JobFolder, Outcome
from desktop_app.storage.index import Index

from .recovery import bring_index_in_step, clear_litter
from .row import after_outcome

_PROGRESS_EVERY_S = 0.5
_RETRY_S = 5.0
_MOST_RETRIES = 12
_LOG = logging.getLogger(__name__)


class Ledger:
    """The one writer of outcomes and rows. `unwritten` holds ends that the disk has not taken yet, by job id."""

    def __init__(self, index: Index, jobs: Path) -> None:
        self.unwritten: dict[str, tuple[JobFolder, Outcome]] = {}
        self._index = index
        self._jobs = jobs
        self._written: dict[str, Job] = {}  # as the index has them
        self._due: dict[str, Job] = {}  # as the index should have them
        self._version: int | None = None
        self._next_progress: dict[str, float] = {}
        self._next_retry = 0.0
        self._retries = 0

    def keep_up(self) -> None:
        """Fill an index that is new or was replaced; try again what could not be written. Call it often."""
        version = self._index.data_version()
        is_time = time.monotonic() >= self._next_retry
        if is_time and version != self._version:
            self._fill()
        if is_time and (self.unwritten or self._due):
            self._retry()

    def put(self, row: Job) -> None:
        """Write a row to the index unless it stands there already; what it did not take is tried again later."""
        if row.id in self._due:
            self._due[row.id] = row
        elif self._written.get(row.id) != row:
            self._put(row)

    def _put(self, row: Job) -> None:
        try:
            self._index.put(row)
        except StorageError as error:
            _LOG.error("%s: %s", row.id, error)
            self._due[row.id] = row
            return
        self._due.pop(row.id, None)
        self._written[row.id] = row
        self._version = None if self._index.moved_aside else self._index.data_version()

    def put_progress(self, row: Job) -> None:
        """Write a row at once if its state changed, otherwise twice a second at most."""
        before = self._written.get(row.id)
        now = time.monotonic()
        if before is None or before.state is not row.state or now >= self._next_progress.get(row.id, 0.0):
            self._next_progress[row.id] = now + _PROGRESS_EVERY_S
            self.put(row)

    def settle(self, folder: JobFolder, row: Job, outcome: Outcome) -> None:
        """Write how a job ended."""
        _LOG.info("%s: %s %s", folder.id, outcome.state, outcome.message)
        self._write_outcome(folder, outcome)
        self.put(after_outcome(row, outcome))
        self._written.pop(row.id, None)
        self._next_progress.pop(row.id, None)
        if row.kind == "open_bundle":
            self._fill()  # it may have brought a job with it, which gets its row before this supervisor leaves

    def is_behind(self) -> bool:
        """Whether something is still to be written; False too when it was tried for a minute in vain."""
        return bool(self.unwritten or self._due) and self._retries < _MOST_RETRIES

    def _fill(self) -> None:
        try:
            bring_index_in_step(self._index, self._jobs)
            clear_litter(self._jobs)  # after it: a cut short deletion has its row removed first
        except StorageError as error:
            _LOG.error("%s", error)
            self._next_retry = time.monotonic() + _RETRY_S
            return
        self._index.moved_aside = None
        self._version = self._index.data_version()

    def _retry(self) -> None:
        self._next_retry = time.monotonic() + _RETRY_S
        self._retries += 1
        for folder, outcome in list(self.unwritten.values()):
            self._write_outcome(folder, outcome)
        for row in list(self._due.values()):
            self._put(row)
        if not self.unwritten and not self._due:
            self._retries = 0

    def _write_outcome(self, folder: JobFolder, outcome: Outcome) -> None:
        try:
            folder.write_outcome(outcome)
        except OSError as error:
            if not folder.path.exists():
                self.unwritten.pop(folder.id, None)
                return
            _LOG.error("%s: its end cannot be written: %s", folder.id, error)
            self.unwritten[folder.id] = (folder, outcome)
            return
        self.unwritten.pop(folder.id, None)
