"""Run a job from a spec file and follow it to its end, in a terminal or as JSON lines.

The job itself runs under the supervisor: closing the terminal does not end it, Ctrl-C asks to cancel it.
"""

import shutil
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from desktop_app.domain.event import AnyEvent, Checkpoint, Notice, Paused, Progress, Resumed, Stage
from desktop_app.domain.job import Job, JobState
from desktop_app.domain.spec import JobSpec, parse_spec, parse_spec_text
from desktop_app.errors import JobError, SpecError
from desktop_app.job_folder import JobFolder, Request
from desktop_app.jobs import submit
from desktop_app.jobs.row import after_event, queued_row, row_from_folder
from desktop_app.jobs.supervisor import unfinished_folders
from desktop_app.paths import jobs_dir, logs_dir

from .text import duration_text, json_text, printable, progress_text, summary_lines

_LOOK_S = 0.1
_LINE_EVERY_S = 2.0  # plain output, for logs
_GUARD_EVERY_S = 5.0
_MOST_MISSING = 3
_BAR_WIDTH = 24
_MOST_SPEC_BYTES = 1024 * 1024


def run_spec(spec_path: str, as_json: bool, changes: Mapping[str, Any] | None = None) -> int:
    """Hand in the job of a spec file and follow it; return the exit code that its end deserves.

    `changes` take the place of what the file says.

    Raises:
        AppError: the spec cannot be used; nothing was started.
    """
    return run_to_end(_changed(read_spec(Path(spec_path)), changes or {}), as_json)


def run_to_end(spec: JobSpec, as_json: bool) -> int:
    """Hand in a job and follow it; return the exit code that its end deserves.

    Raises:
        AppError: the spec cannot be used; nothing was started.
    """
    teller = _JsonLines() if as_json else _Terminal()
    job_id = submit.submit(spec)
    ahead = sum(folder.id != job_id for folder in unfinished_folders(jobs_dir()))
    if ahead:
        teller.say(f"Waits for {ahead} other job{'s' if ahead > 1 else ''}.")
    return follow(submit.folder_of(job_id), teller)


def _changed(spec: JobSpec, changes: Mapping[str, Any]) -> JobSpec:
    if changes and spec.kind != "finetune":
        raise SpecError(f"A job of the kind {spec.kind!r} is done by one process.", "Leave out '--launch'.", "kind")
    return parse_spec({**spec.model_dump(mode="json"), **changes}) if changes else spec


def read_spec(file: Path) -> JobSpec:
    """Read a spec from a file.

    Raises:
        SpecError: it is missing, too large to be one, no JSON, or wrong.
    """
    try:
        with file.open("rb") as stream:
            text = stream.read(_MOST_SPEC_BYTES + 1)
    except OSError as error:
        raise SpecError(f"{file} cannot be read: {error.strerror}.", "Name the file that holds the spec.") from error
    if len(text) > _MOST_SPEC_BYTES:
        raise SpecError(f"{file} is larger than {_MOST_SPEC_BYTES:,} bytes.", "Is it the data file? Name the spec.")
    return parse_spec_text(text, origin=str(file))


def follow(folder: JobFolder, teller: "_Terminal | _JsonLines") -> int:
    """Tell what happens in a job until it ends."""
    is_cancelling = False
    teller.begin(folder)
    row, offset, guard = queued_row(folder), 0, _Guard()
    while True:
        try:
            has_ended = folder.has_outcome  # asked first: all events stand before it
            page = folder.read_events(offset)
            offset = page.offset
            for event in page.events:
                row = after_event(row, event)
                teller.tell(event, row)
            if has_ended and not page.events:
                return _ended(row_from_folder(folder), teller)
            guard.look(folder)
            if not page.events:
                time.sleep(_LOOK_S)
        except KeyboardInterrupt:
            if is_cancelling or folder.has_outcome:
                raise
            is_cancelling = True
            teller.say("Cancelling; press Ctrl-C again to leave at once.")
            submit.cancel(folder.id)


def _ended(job: Job, teller: "_Terminal | _JsonLines") -> int:
    teller.end(job)
    if job.state is JobState.SUCCEEDED:
        return 0
    if job.state is JobState.CANCELLED:
        return 130
    return 1 if job.error == "bug" else 2


class _Guard:
    """Sees to it that somebody works on the queue while we wait."""

    def __init__(self) -> None:
        self._next = time.monotonic() + _GUARD_EVERY_S
        self._missing = 0

    def look(self, folder: JobFolder) -> None:
        """Start a supervisor if there is none.

        Raises:
            JobError: several in a row did not stay.
        """
        if time.monotonic() < self._next or folder.has_outcome or folder.is_asked(Request.PAUSE):
            return
        self._next = time.monotonic() + _GUARD_EVERY_S
        if submit.is_supervised():
            self._missing = 0
            return
        self._missing += 1
        if self._missing > _MOST_MISSING:
            raise JobError(
                f"The process that runs jobs does not stay alive; job {folder.id} waits.",
                f"{logs_dir() / 'supervisor.log'} says why.",
            )
        submit.ensure_supervisor()


class _JsonLines:
    """Each event as it was written, then the job."""

    def begin(self, folder: JobFolder) -> None:
        self._print({"kind": "submitted", "id": folder.id, "folder": str(folder.path)})

    def tell(self, event: AnyEvent, job: Job) -> None:
        self._print(event.model_dump(mode="json"))

    def say(self, text: str) -> None:
        print(text, file=sys.stderr)

    def end(self, job: Job) -> None:
        self._print({"kind": "job", "job": asdict(job)})

    def _print(self, values: object) -> None:
        print(json_text(values), flush=True)


class _Terminal:
    """A bar that is drawn over itself where there is a terminal, a line now and then where there is none."""

    def __init__(self) -> None:
        self._is_terminal = sys.stdout.isatty()
        self._bar = ""
        self._next_line = 0.0

    def begin(self, folder: JobFolder) -> None:
        self.say(f"Job {folder.id}")

    def tell(self, event: AnyEvent, job: Job) -> None:
        match event:
            case Stage():
                self.say(event.text)
            case Notice():
                self.say(f"{'Warning: ' if event.level == 'warning' else ''}{event.text}")
            case Checkpoint():
                self.say(f"Checkpoint at step {event.step}")
            case Paused():
                self.say(f"Paused at step {event.step}")
            case Resumed():
                self.say("Goes on")
            case Progress():
                self._draw(job)

    def say(self, text: str) -> None:
        self._wipe()
        print(printable(text), flush=True)
        self._redraw()

    def end(self, job: Job) -> None:
        self._wipe()
        self._bar = ""
        if job.total:
            print(printable(progress_text(replace(job, eta_s=None, rate=None))))
        if job.state is not JobState.SUCCEEDED:
            print(printable(f"{job.state.sentence} {job.message}\n{job.hint}".strip()), file=sys.stderr, flush=True)
            return
        took = f" after {duration_text(job.duration_s)}" if job.duration_s is not None else ""
        where = f"Result: {job.result}" if job.result else "It has no result of its own."
        print(printable(f"Ended well{took}. {where}"))
        for name, value in summary_lines(job.summary):
            print(printable(f"  {name}: {value}"))
        sys.stdout.flush()

    def _draw(self, job: Job) -> None:
        text = progress_text(job)
        if not self._is_terminal:
            if time.monotonic() >= self._next_line:
                self._next_line = time.monotonic() + _LINE_EVERY_S
                print(printable(text), flush=True)
            return
        share = min(1.0, max(0.0, job.done / job.total)) if job.total else 0.0
        full = round(share * _BAR_WIDTH)
        self._bar = f"[{'#' * full}{'-' * (_BAR_WIDTH - full)}] {share:4.0%}  {printable(text)}"
        self._redraw()

    def _redraw(self) -> None:
        if self._is_terminal and self._bar:
            width = shutil.get_terminal_size().columns - 1
            print(f"\r\x1b[2K{self._bar[:width]}", end="", flush=True)

    def _wipe(self) -> None:
        if self._is_terminal and self._bar:
            print("\r\x1b[2K", end="")
