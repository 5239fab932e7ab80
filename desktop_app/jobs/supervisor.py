"""The process that owns the queue: starts workers, oldest job first, and alone judges their ends.

It lives while there is work and holds an operating-system lock meanwhile. Everything it knows stands in the
job folders, so it may be killed at any moment and the next one goes on.
"""

import logging
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from desktop_app import paths
from desktop_app.domain.job import KINDS_THAT_GO_ON, Job, JobState
from desktop_app.errors import AppError, StorageError, error_kind
from desktop_app.job_folder import JobFolder, Outcome, Request, job_folders
from desktop_app.os_lock import OsLock
from desktop_app.storage.index import Index

from .attempt import Attempt, Graces, abandon, adopt, begin, folder_gone
from .disk_wait import DISK_ERROR, DiskWaits
from .follow_up import queue_evaluation
from .free_space import clear_useless
from .guard import Hold
from .laptop import Laptop, held_row
from .ledger import Ledger
from .less_memory import goes_on_by_itself
from .row import queued_row

_STEP_S = 0.2
_SCAN_SHARE = 20  # looking for new folders takes at most one part in so many of the time
_LOG = logging.getLogger(__name__)


def run_supervisor() -> int:
    """Work off the queue; return 0 when nothing is left or another supervisor does it, 2 for a told problem.

    A supervisor that finds the lock taken stays until the holder has taken up every new folder or is gone.
    """
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(message)s")
    jobs = paths.make_private_dir(paths.jobs_dir())
    try:
        with OsLock(paths.supervisor_lock()) as lock:
            index = Index(paths.index_file())
            while not lock.acquire():
                if is_all_taken_up(index, jobs):
                    return 0
                time.sleep(_STEP_S)
            lock.note(f"{os.getpid()}\n")
            Supervisor(lock, index, jobs).run()
    except AppError as error:
        _LOG.error("%s", error)
        return 2
    return 0


def is_all_taken_up(index: Index, jobs: Path) -> bool:
    """Whether every job that has not ended stands in the index as one that has not."""
    for folder in unfinished_folders(jobs):
        row = index.job(folder.id)
        if row is None or row.state.is_terminal:
            return False
    return True


class Supervisor:
    """The holder of the lock."""

    def __init__(self, lock: OsLock, index: Index, jobs: Path, graces: Graces | None = None) -> None:
        self._lock = lock
        self._jobs = jobs
        self._graces = graces or Graces()
        self._ledger = Ledger(index, jobs)
        self._waiting: dict[str, Job] = {}
        self._attempts: dict[str, Attempt] = {}
        self._next_scan = 0.0
        self._laptop = Laptop()
        self._disk = DiskWaits()

    def run(self) -> None:
        """Work until nothing is left to do, free the lock, and look once more before leaving."""
        try:
            while True:
                self._work()
                self._lock.release()
                if not self._has_work() or not self._lock.acquire():
                    return
        finally:
            self._laptop.close()

    def _work(self) -> None:
        while True:
            self._ledger.keep_up()
            self._take_up_new()
            for job_id, attempt in list(self._attempts.items()):
                self._step(job_id, attempt)
            for row in list(self._waiting.values()):
                self._obey_waiting(row)
            self._start_next()
            self._laptop.look(self._attempts, [self._folder(job_id) for job_id in self._waiting])
            if not self._has_work() and not self._ledger.is_behind():
                return
            time.sleep(_STEP_S)

    def _has_work(self) -> bool:
        return bool(self._attempts or self._wanted() or self._new_folders())

    # New job folders, and those of an earlier supervisor.

    def _take_up_new(self) -> None:
        begin_s = time.monotonic()
        if begin_s < self._next_scan:
            return
        for folder in self._new_folders():
            self._guarded(folder, self._take_up)
        end_s = time.monotonic()
        self._next_scan = end_s + _SCAN_SHARE * (end_s - begin_s)

    def _new_folders(self) -> list[JobFolder]:
        known = {*self._waiting, *self._attempts, *self._ledger.unwritten}
        return [folder for folder in unfinished_folders(self._jobs) if folder.id not in known]

    def _take_up(self, folder: JobFolder) -> None:
        identity = folder.read_process()
        attempt = adopt(folder, identity, self._graces) if identity is not None else None
        if attempt is not None:
            _LOG.info("%s: adopted", folder.id)
            self._attempts[folder.id] = attempt
            self._ledger.put(attempt.row)
            return
        row = queued_row(folder)
        self._ledger.put(row)
        folder.read_spec()  # a broken one fails now, not when its turn comes
        self._waiting[folder.id] = row

    # Jobs that wait for their turn.

    def _obey_waiting(self, row: Job) -> None:
        folder = self._folder(row.id)
        if not folder.spec_file.exists():  # deleted by hand
            del self._waiting[row.id]
            self._ledger.settle(folder, row, folder_gone(folder))
        elif folder.is_asked(Request.CANCEL) or folder.is_asked(Request.STOP):
            del self._waiting[row.id]
            self._ledger.settle(folder, row, Outcome(state=JobState.CANCELLED, ended=time.time()))
        else:
            if folder.is_asked(Request.GO_ON):
                self._disk.forget(row.id)
            hold = self._disk.hold_of(row.id)
            is_held = hold is not None or folder.is_asked(Request.PAUSE)
            now = replace(row, state=JobState.PAUSED if is_held else JobState.QUEUED, stage="")
            self._waiting[row.id] = now
            self._ledger.put(held_row(now, hold or self._rule_against(row), folder))

    def _rule_against(self, row: Job) -> Hold | None:
        """Say which of the user's rules holds a job still; fetching a model strains nothing and goes on."""
        return None if row.kind in KINDS_THAT_GO_ON else self._laptop.hold_of(row.id)

    def _wanted(self) -> list[Job]:
        """Jobs that wait and that the user has not paused, the oldest first."""
        free = [row for row in self._waiting.values() if not self._folder(row.id).is_asked(Request.PAUSE)]
        return sorted(free, key=lambda row: (row.created, row.id))

    def _start_next(self) -> None:
        """Start one job that computes and, beside it, one that only fetches a model."""
        at_work = {attempt.row.kind in KINDS_THAT_GO_ON for attempt in self._attempts.values()}
        for row in self._wanted():
            if self._disk.hold_of(row.id) or self._rule_against(row):
                continue
            is_fetching = row.kind in KINDS_THAT_GO_ON
            if is_fetching not in at_work and (is_fetching or not _is_measured()):
                at_work.add(is_fetching)
                del self._waiting[row.id]
                self._guarded(self._folder(row.id), self._start)

    def _start(self, folder: JobFolder) -> None:
        attempt = begin(folder, self._graces)
        _LOG.info("%s: started", folder.id)
        self._attempts[folder.id] = attempt
        self._ledger.put(attempt.row)

    # Jobs at work.

    def _step(self, job_id: str, attempt: Attempt) -> None:
        try:
            outcome = attempt.step()
        except Exception as error:  # noqa: BLE001 - one job that cannot be read must not end the queue
            outcome = None if attempt.is_alive() else _told(error)
            _LOG.exception("%s: cannot be followed", job_id)
        if outcome is None:
            self._ledger.put_progress(held_row(attempt.row, self._rule_against(attempt.row), attempt.folder))
            return
        del self._attempts[job_id]
        if goes_on_by_itself(attempt.folder, outcome):
            _LOG.info("%s: out of memory, goes on with a smaller plan", job_id)
            self._waiting[job_id] = queued_row(attempt.folder)
            self._ledger.put(self._waiting[job_id])
            return
        if outcome.error == DISK_ERROR:
            _LOG.info("%s: the disk is full, waits for space", job_id)
            self._disk.add(attempt.folder)
            self._waiting[job_id] = replace(
                attempt.row, state=JobState.PAUSED, rate=None, eta_s=None, error="", message=""
            )
            return
        if outcome.state is JobState.SUCCEEDED:
            try:
                queue_evaluation(attempt.folder, replace(attempt.row, state=outcome.state))
            except AppError as error:  # the result stands; only its measurement is missing
                _LOG.error("%s: cannot be measured: %s", job_id, error)
        if outcome.state is not JobState.SUCCEEDED:
            clear_useless(attempt.folder, attempt.row.kind)
        self._ledger.settle(attempt.folder, attempt.row, outcome)

    def _guarded(self, folder: JobFolder, action: Callable[[JobFolder], None]) -> None:
        """Run `action`; a job for which it fails has failed, the queue goes on."""
        try:
            action(folder)
        except Exception as error:  # noqa: BLE001 - one bad folder must not end the queue
            _LOG.exception("%s: cannot be started", folder.id)
            abandon(folder)
            self._ledger.settle(folder, queued_row(folder), _told(error))

    def _folder(self, job_id: str) -> JobFolder:
        return JobFolder(self._jobs / job_id)


def _is_measured() -> bool:
    """Whether a short measurement computes now, beside which a job would wrong it and could run out of memory."""
    with OsLock(paths.probe_lock()) as lock:
        return not lock.acquire()


def unfinished_folders(jobs: Path) -> Iterator[JobFolder]:
    """All job folders without an outcome."""
    return (folder for folder in job_folders(jobs) if not folder.has_outcome)


def _told(error: Exception) -> Outcome:
    if isinstance(error, AppError):
        message, hint = error.message, error.hint
    elif isinstance(error, OSError):
        error = StorageError(f"The job's folder cannot be used: {error}.", "Check the disk and the folder's rights.")
        message, hint = error.message, error.hint
    else:
        message, hint = f"{type(error).__name__}: {error}", "This is a fault of Whetstone; please report it."
    return Outcome(state=JobState.FAILED, ended=time.time(), error=error_kind(error), message=message, hint=hint)
