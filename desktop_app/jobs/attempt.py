"""One worker at work on one job: start or adopt it, listen to it, pass on the user's wishes, see its end.

Knows one job folder and one process; the queue and the index are the supervisor's.
"""

import logging
import secrets
import time
from dataclasses import dataclass, replace
from pathlib import Path

import psutil

from desktop_app import process
from desktop_app.domain.event import LAST_EVENTS, Checkpoint, Started
from desktop_app.domain.finetune_spec import FinetuneSpec
from desktop_app.domain.job import Job, JobState
from desktop_app.job_folder import JobFolder, Outcome, ProcessIdentity, Request

from .console_log import trim_console
from .memory_trace import MemoryTrace
from .model_specs import may_use_network, refuse_offline
from .row import after_event, begun, queued_row, row_after_events
from .verdict import Evidence, LastEvent, verdict

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Graces:
    """How many seconds a worker has before it is ended by force.

    `unstarted_s` counts for one that has not yet said that it began; `last_s` from its last event on.
    """

    cancel_s: float = 10.0
    unstarted_s: float = 3.0
    stop_s: float = 900.0  # saving a large model to a slow disk takes minutes
    last_s: float = 30.0


class Attempt:
    """A job being worked on; call `step` several times a second until it returns an outcome.

    `checkpoints` counts those that were written in this attempt.
    """

    def __init__(self, folder: JobFolder, row: Job, identity: ProcessIdentity, graces: Graces) -> None:
        self.folder = folder
        self.row = row
        self.checkpoints = 0
        self._identity = identity
        self._graces = graces
        self._offset = identity.events_offset
        self._memory = MemoryTrace()
        self._has_started = False
        self._last: LastEvent | None = None
        self._last_since = 0.0
        self._asked_since: dict[Request, float] = {}
        self._forced: Request | None = None

    def step(self) -> Outcome | None:
        """Look once: read new events, obey requests; return how the job ended if its worker is gone.

        Raises:
            OSError: if the job's folder cannot be read.
        """
        is_alive = self.is_alive()  # asked first: what was written before the end is read after it
        if not self.folder.path.is_dir():
            process.end_tree(self._identity)
            return folder_gone(self.folder)
        self._read_events()
        if is_alive:
            trim_console(self.folder)
            self._memory.look(self._identity)
            self._obey(time.monotonic())
            return None
        exit_code = process.exit_code(self._identity)
        process.end_tree(self._identity)  # children that outlived it
        self._read_events()
        return verdict(
            self.folder,
            Evidence(
                last=self._last,
                exit_code=exit_code,
                forced=self._forced,
                memory=self._memory.evidence(),
                is_other_boot=self._identity.boot != process.boot_id(),
            ),
        )

    def pids(self) -> frozenset[int]:
        """Return the process and its descendants as they are now."""
        try:
            process = psutil.Process(self._identity.pid)
            return frozenset((process.pid, *(child.pid for child in process.children(recursive=True))))
        except psutil.Error:
            return frozenset()

    def give_time_anew(self) -> None:
        """Let every grace time begin again: while the computer slept the worker could do nothing."""
        now = time.monotonic()
        self._asked_since = dict.fromkeys(self._asked_since, now)
        self._last_since = now

    def is_alive(self) -> bool:
        """Whether the worker still runs."""
        return process.is_alive(self._identity)

    def _read_events(self) -> None:
        while True:
            page = self.folder.read_events(self._offset)
            for event in page.events:
                self.row = after_event(self.row, event)
                if isinstance(event, Started):
                    self._has_started, self._last = True, None
                self.checkpoints += isinstance(event, Checkpoint)
                if isinstance(event, LAST_EVENTS):
                    self._last, self._last_since = event, time.monotonic()
            if page.offset == self._offset:
                return
            self._offset = page.offset

    def _obey(self, now: float) -> None:
        for request in (Request.CANCEL, Request.STOP):
            if self.folder.is_asked(request):
                since = self._asked_since.setdefault(request, now)
                if self._last is None and now - since > self._grace_s(request):
                    _LOG.info("%s: ended by force, %s was asked %.0f s ago", self.folder.id, request, now - since)
                    self._forced = request
                    process.end_tree(self._identity)
                    return
        if self._last is not None and now - self._last_since > self._graces.last_s:
            _LOG.info("%s: ended by force, it lingered after its last event", self.folder.id)
            process.end_tree(self._identity)

    def _grace_s(self, request: Request) -> float:
        wanted = self._graces.cancel_s if request is Request.CANCEL else self._graces.stop_s
        return wanted if self._has_started else min(wanted, self._graces.unstarted_s)


def begin(folder: JobFolder, graces: Graces) -> Attempt:
    """Start a worker on a job folder.

    What is about to happen is written first: if this process dies in between, the next supervisor finds
    the worker by its nonce.

    Raises:
        AppError: if the spec cannot be read.
        OSError: if nothing can be written, or the worker cannot be started.
    """
    spec = folder.read_spec()
    refuse_offline(spec)  # the switch may have been turned on while the job waited
    nonce = secrets.token_hex(16)
    intent = ProcessIdentity(pid=0, started=0, boot=process.boot_id(), nonce=nonce, events_offset=_whole_events(folder))
    folder.write_process(intent)
    is_launched = isinstance(spec, FinetuneSpec) and spec.process_count > 1
    command = process.worker_command(spec.kind, folder.path, is_launched)
    identity = process.start_detached(command, folder.console_file, nonce, spec.threads, may_use_network(spec))
    process.prefer_as_memory_victim(identity)
    identity = identity.model_copy(update={"events_offset": intent.events_offset})
    folder.write_process(identity)
    return Attempt(folder, begun(queued_row(folder), time.time()), identity, graces)


def adopt(folder: JobFolder, identity: ProcessIdentity, graces: Graces) -> Attempt | None:
    """Take over a job that another supervisor started; its worker may run or be gone.

    Returns None if the worker was never started: the job waits for its turn again.
    """
    if identity.pid == 0:
        found = process.find_by_nonce(identity.nonce)
        if found is None and folder.read_events(identity.events_offset).offset == identity.events_offset:
            folder.forget_process()
            return None
        if found is not None:
            identity = found.model_copy(update={"events_offset": identity.events_offset})
            folder.write_process(identity)
    before, _ = row_after_events(queued_row(folder), folder)
    state = before.state if before.state is JobState.PAUSED else JobState.RUNNING
    started = before.started or _written(folder.path / "process.json")
    return Attempt(folder, replace(before, state=state, started=started), identity, graces)


def abandon(folder: JobFolder) -> None:
    """End a worker that cannot be followed, if there is one."""
    identity = folder.read_process()
    if identity is not None:
        process.end_tree(identity)


def folder_gone(folder: JobFolder) -> Outcome:
    """How a job ends whose folder was deleted under it."""
    return Outcome(
        state=JobState.INTERRUPTED,
        ended=time.time(),
        error="job",
        message=f"Its folder {folder.path} is gone.",
        hint="Put the folder back, or delete the job.",
    )


def _whole_events(folder: JobFolder) -> int:
    """End a line that an earlier worker left torn, or the next event would be lost with it; return the size."""
    try:
        with folder.events_file.open("r+b") as stream:
            size = stream.seek(0, 2)
            if size:
                stream.seek(size - 1)
                if stream.read(1) != b"\n":
                    stream.write(b"\n")
            return stream.seek(0, 2)
    except FileNotFoundError:
        return 0


def _written(file: Path) -> float:
    return file.stat().st_mtime if file.exists() else time.time()
