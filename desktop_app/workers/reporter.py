"""A worker's voice and ear: appends events to its job folder and heeds what the user asks there.

Knows nothing of models. Progress and metrics that come too fast are held back: of progress the last one arrives,
of metrics every one, before the next other event, with the next machine sample, or on closing.
"""

import errno
import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from types import FrameType
from typing import TYPE_CHECKING, Any, Literal, cast

import psutil

from desktop_app.domain.event import Event, Metric, Notice, Paused, Progress, Resumed, Stage, parse_event
from desktop_app.domain.machine import MachineSample
from desktop_app.errors import StorageError
from desktop_app.job_folder import JobFolder, Request

from .console_line import console_line

if TYPE_CHECKING:
    from desktop_app.domain.event import AnyEvent

_PROGRESS_GAP_S = 0.2
_METRIC_GAP_S = 0.05
_PAUSE_LOOK_S = 0.1
_TAIL_BYTES = 65_536
# Given back when the disk is full, so that the job's last word can still be written.
_RESERVE_BYTES = 65_536
_NO_SPACE = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}


Agreed = Callable[[Sequence[bool]], list[bool]]


class CancelledByUser(BaseException):
    """The user asked to end without a result; no `except Exception` of a library may swallow it."""


class Reporter:
    """Events out, requests in. Usable from several threads.

    `goes_on`: an earlier attempt began this job.
    """

    goes_on = False
    _paused_s = 0.0

    def __init__(self, folder: JobFolder) -> None:
        """Open the folder's event file and go on after the last event of an earlier attempt.

        Raises:
            StorageError: the job folder cannot be written.
        """
        self._prepare(folder)
        try:
            self._file = os.open(
                folder.events_file, os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0), 0o600
            )
            self._seq = self._next_seq()
            self.goes_on = self._seq > 0
            self._reserve.write_bytes(os.urandom(_RESERVE_BYTES))
        except OSError as error:
            raise StorageError(
                f"{folder.path} cannot be written: {error.strerror}.", "Make the data folder writable, or free space."
            ) from error

    def _prepare(self, folder: JobFolder) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._since = time.monotonic()
        self._held: dict[str, list[tuple[float, type[Event], dict[str, Any]]]] = {}
        self._written_at: dict[str, float] = {}
        self._is_terminated = False
        self._reserve = folder.path / ".reserve"

    @property
    def folder(self) -> JobFolder:
        """The folder of the job it speaks for."""
        return self._folder

    def emit(self, kind: type[Event], **fields: Any) -> None:
        """Append an event now, after everything that is held back.

        Raises:
            StorageError: it cannot be written.
        """
        with self._lock:
            self._write_held()
            self._write(kind, time.time(), fields)

    def stage(self, text: str) -> None:
        """Say what is being done now."""
        self.emit(Stage, text=text)

    def notice(self, text: str, level: Literal["info", "warning"] = "info") -> None:
        """Tell the user something that is no failure."""
        self.emit(Notice, text=text, level=level)

    def progress(self, done: float, total: float, unit: str, **more: Any) -> None:
        """Say how far the job is; fields as in `Progress`."""
        self._offer("progress", _PROGRESS_GAP_S, Progress, {"done": done, "total": total, "unit": unit, **more})

    def metric(self, step: int, values: dict[str, float]) -> None:
        """Record finite values at a step; none is lost, however fast they come."""
        self._offer("metric", _METRIC_GAP_S, Metric, {"step": step, "values": values})

    def sample(self, sample: MachineSample) -> None:
        """Append a look at the computer to `machine.jsonl`, and whatever is held back to the events."""
        with self._lock:
            self._write_held()
        with self._folder.machine_file.open("a", encoding="utf-8", newline="\n") as stream:
            stream.write(sample.model_dump_json(exclude={"gpus": {"__all__": {"processes"}}}) + "\n")

    def obey_signals(self) -> None:
        """Take the system's request to end (SIGTERM) for 'stop and save'; only for jobs that can save."""

        def remember(signal_number: int, frame: FrameType | None) -> None:
            self._is_terminated = True

        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, remember)

    @property
    def is_stop_asked(self) -> bool:
        """Whether the job should save what it has and end."""
        return self._is_terminated or self._folder.is_asked(Request.STOP)

    @property
    def is_terminated(self) -> bool:
        """Whether it was the system that asked, not the user."""
        return self._is_terminated

    def heed(self, step: int = 0, agreed: Agreed = list) -> bool:
        """Do what the user asks: hold still while paused; return whether to save and end.

        `agreed` makes of the wishes here those of all processes of the job.

        Raises:
            CancelledByUser: the user cancelled.
        """
        is_stopped, is_paused = self._wishes(agreed)
        if is_paused and not is_stopped:
            self.emit(Paused, step=step)
            since = time.monotonic()
            while is_paused and not is_stopped:
                time.sleep(_PAUSE_LOOK_S)
                is_stopped, is_paused = self._wishes(agreed)
            self._paused_s += time.monotonic() - since
            self.emit(Resumed, step=step)
        return is_stopped

    def worked_s(self) -> float:
        """Seconds since this attempt began, without those in which it held still."""
        return time.monotonic() - self._since - self._paused_s

    def _wishes(self, agreed: Agreed) -> tuple[bool, bool]:
        self.heed_cancel()
        is_stopped, is_paused = agreed([self.is_stop_asked, self._folder.is_to_pause])
        return is_stopped, is_paused

    def has_taken(self, request: Request) -> bool:
        """Whether the user asked for this once; asked again, it is asked anew."""
        if not self._folder.is_asked(request):
            return False
        self._folder.take_back(request)
        return True

    def heeding(self, unit: str) -> Callable[[int, int], None]:
        """Return what a loop over `unit`s calls with how many are done of how many: tells it, and heeds the user."""

        def tell(done: int, total: int) -> None:
            self.heed()
            self.progress(done, total, unit)

        return tell

    def heed_cancel(self) -> None:
        """Look whether the user cancelled; cheap.

        Raises:
            CancelledByUser: if so.
        """
        if self._folder.is_asked(Request.CANCEL):
            raise CancelledByUser

    def close(self) -> None:
        """Write what is held back and close the files."""
        with self._lock:
            try:
                self._write_held()
            except StorageError:
                pass  # the last event has been written already, or never will be
            os.close(self._file)
            self._reserve.unlink(missing_ok=True)

    def _next_seq(self) -> int:
        """Find where an earlier attempt ended; a line that it left torn is closed so that it harms nothing."""
        size = os.fstat(self._file).st_size
        os.lseek(self._file, max(0, size - _TAIL_BYTES), os.SEEK_SET)
        tail = os.read(self._file, _TAIL_BYTES)
        if tail and not tail.endswith(b"\n"):
            os.write(self._file, b"\n")
        for line in reversed(tail.split(b"\n")):
            event = parse_event(line)
            if event is not None:
                return event.seq + 1
        return 0

    def _offer(self, key: str, gap_s: float, kind: type[Event], fields: dict[str, Any]) -> None:
        now = time.monotonic()
        with self._lock:
            held = self._held.setdefault(key, [])
            if kind is Progress:
                held.clear()
            held.append((time.time(), kind, fields))
            if now - self._written_at.get(key, -gap_s) >= gap_s:
                self._write_held_of(key)

    def _write_held(self) -> None:
        for key in list(self._held):
            self._write_held_of(key)

    def _write_held_of(self, key: str) -> None:
        held = self._held.pop(key)
        self._written_at[key] = time.monotonic()
        for when, kind, fields in held[:-1]:
            self._write(kind, when, fields, is_printed=False)
        when, kind, fields = held[-1]
        self._write(kind, when, fields)

    def _write(self, kind: type[Event], when: float, fields: dict[str, Any], is_printed: bool = True) -> None:
        event = kind(seq=self._seq, time=when, **fields)
        try:
            self._append((event.model_dump_json() + "\n").encode())
        except OSError as error:
            raise StorageError(
                f"{self._folder.events_file} cannot be written: {error.strerror}.", "Free some space."
            ) from error
        self._seq += 1
        if is_printed:
            _print(event)

    def _append(self, line: bytes) -> None:
        """Append with one call, so that no reader sees a mix; give back the reserve if the disk is full."""
        written = 0
        try:
            written = os.write(self._file, line)
        except OSError as error:
            if error.errno not in _NO_SPACE:
                raise
        if written == len(line):
            return
        self._reserve.unlink(missing_ok=True)
        if os.write(self._file, b"\n" + line if written else line) < len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


class MuteReporter(Reporter):
    """For the other processes of a training in several: writes nothing and hears nothing but the system."""

    def __init__(self, folder: JobFolder) -> None:
        self._prepare(folder)

    def emit(self, kind: type[Event], **fields: Any) -> None:
        """Leave it to the process that speaks."""

    def sample(self, sample: MachineSample) -> None:
        """Leave it to the process that speaks."""

    def has_taken(self, request: Request) -> bool:
        """Leave it to the process that speaks, which tells what it heard."""
        return False

    def heed_cancel(self) -> None:
        """Leave it to the process that speaks: when it ends, all are ended."""

    def close(self) -> None:
        """Nothing is open."""

    def _offer(self, key: str, gap_s: float, kind: type[Event], fields: dict[str, Any]) -> None:
        pass


def _print(event: Event) -> None:
    """Say the event in the log too; a log that cannot be written must not end the job."""
    if line := console_line(cast("AnyEvent", event)):
        try:
            print(line, flush=True)  # noqa: T201
        except (OSError, ValueError):
            pass


def process_memory_bytes() -> int:
    """Return the resident memory of this process."""
    return int(psutil.Process().memory_info().rss)
