"""The folder in which window, supervisor and worker meet: `jobs/ID/`.

    spec.json       what to do; written once, before the folder gets its name
    events.jsonl    what happened; appended by the worker only
    machine.jsonl   how busy the computer was meanwhile; appended by the worker only
    console.log     what was printed; console.old.log holds what came before, of a long output
    estimate.json   how long it was expected to take when it was started, if anybody said
    process.json    who works on it; written by the supervisor
    outcome.json    how it ended; written by the supervisor, once
    note.txt        the user's own words about it
    marks.json      the user's tags, and whether it is archived
    plan.json       what was changed of the spec since, so that the job needs less memory
    request-NAME    what the user asks of the worker: pause, stop, cancel, save, measure; hold is the supervisor's own
                    pause, by a rule of the user, go_on the user's word against such a rule
    checkpoints/    verified checkpoints
    result/         what came out, unless the spec names another folder

A reader tolerates a torn last line and never reads half a line twice.
"""

import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

from .domain.estimate import Estimate
from .domain.event import AnyEvent, parse_event
from .domain.job import JobMarks, JobState
from .domain.smaller_plan import SmallerPlan
from .domain.spec import JobSpec, parse_spec_text
from .domain.value import Value
from .durable_file import move_into_place, sync_dir, write_synced
from .errors import JobError, StorageError

_V = TypeVar("_V", bound=Value)
_PAGE_BYTES = 8 * 1024 * 1024


class Request(StrEnum):
    """What a user can ask of a running worker; HOLD asks the supervisor, GO_ON is asked of it."""

    PAUSE = "pause"
    STOP = "stop"
    CANCEL = "cancel"
    SAVE = "save"
    MEASURE = "measure"
    HOLD = "hold"
    GO_ON = "go_on"


class ProcessIdentity(Value):
    """Which process it is, beyond its pid, which the system uses again.

    `started` is the process's start time in seconds, on Linux since boot, `boot` names the boot of the computer,
    `nonce` stands in the worker's environment as WHETSTONE_NONCE. A pid of 0 means that the process is about
    to be started. `events_offset`: where in `events.jsonl` the events of this process begin, in bytes.
    """

    pid: int
    started: float
    boot: str
    nonce: str
    events_offset: int = 0


class Outcome(Value):
    """How a job ended, by the supervisor's judgement. `ended` is Unix seconds."""

    state: JobState
    ended: float
    error: str = ""
    message: str = ""
    hint: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class EventPage:
    """Events read in one go; `offset` is where to go on reading."""

    events: tuple[AnyEvent, ...]
    offset: int


@dataclass(frozen=True, slots=True)
class JobFolder:
    """One job by its folder."""

    path: Path

    @property
    def id(self) -> str:
        """The job's id is its folder's name."""
        return self.path.name

    @property
    def spec_file(self) -> Path:
        return self.path / "spec.json"

    @property
    def events_file(self) -> Path:
        return self.path / "events.jsonl"

    @property
    def machine_file(self) -> Path:
        return self.path / "machine.jsonl"

    @property
    def console_file(self) -> Path:
        return self.path / "console.log"

    @property
    def old_console_file(self) -> Path:
        return self.path / "console.old.log"

    @property
    def has_outcome(self) -> bool:
        """Whether the job has ended; cheaper than `read_outcome`."""
        return (self.path / "outcome.json").exists()

    @property
    def checkpoints_dir(self) -> Path:
        return self.path / "checkpoints"

    def read_spec(self) -> JobSpec:
        """Read what the job is to do, with what was changed since so that it needs less memory.

        Raises:
            StorageError: if `spec.json` cannot be read.
            SpecError: if it holds no valid spec.
        """
        try:
            text = self.spec_file.read_bytes()
        except OSError as error:
            raise StorageError(
                f"{self.spec_file} cannot be read: {error.strerror}.", "The job cannot be started; delete it."
            ) from error
        spec = parse_spec_text(text, origin=str(self.spec_file))
        plan = self.read_plan()
        return spec if plan is None else spec.model_copy(update=plan.changes)

    def write_plan(self, plan: SmallerPlan) -> None:
        """Note what is changed of the spec from the next attempt on."""
        write_synced(self.path / "plan.json", plan.model_dump_json())

    def read_plan(self) -> SmallerPlan | None:
        """What was changed of the spec; None if nothing was."""
        return _read_value(self.path / "plan.json", SmallerPlan)

    def read_estimate(self) -> Estimate | None:
        """How long it was expected to take when it was started; None if nobody said."""
        return _read_value(self.path / "estimate.json", Estimate)

    def read_events(self, offset: int = 0) -> EventPage:
        """Read whole new lines of `events.jsonl` from byte `offset`; unknown kinds are left out.

        Reads some megabytes at most; the page is the last one if its `offset` is the one given.
        """
        lines, end = read_lines(self.events_file, offset)
        return EventPage(events=tuple(event for line in lines if (event := parse_event(line)) is not None), offset=end)

    def read_result(self) -> Path | None:
        """Where its result lies by its events; None if it has none, or that is gone."""
        offset, result = 0, ""
        while (page := self.read_events(offset)).offset != offset:
            offset = page.offset
            for event in page.events:
                result = getattr(event, "result", result)
        return Path(result) if result and Path(result).is_dir() else None

    def ask(self, request: Request) -> None:
        """Leave a request for the worker; asking twice is the same as once."""
        try:
            (self.path / f"request-{request}").touch()
        except OSError as error:
            raise JobError(
                f"Job {self.id} cannot be told to {request}: {error.strerror}.", "Is its folder still there?"
            ) from error

    def take_back(self, request: Request) -> None:
        """Withdraw a request, for example `pause` to let the worker go on."""
        (self.path / f"request-{request}").unlink(missing_ok=True)

    def is_asked(self, request: Request) -> bool:
        """Whether the user asks for this; cheap enough for every step."""
        return (self.path / f"request-{request}").exists()

    @property
    def is_to_pause(self) -> bool:
        """Whether the worker is to hold still, by the user's word or by a rule."""
        return self.is_asked(Request.PAUSE) or self.is_asked(Request.HOLD)

    def write_process(self, identity: ProcessIdentity) -> None:
        """Note who works on the job; once per start of a worker."""
        write_synced(self.path / "process.json", identity.model_dump_json())

    def read_process(self) -> ProcessIdentity | None:
        """Who works or worked on the job; None if no worker was started."""
        return _read_value(self.path / "process.json", ProcessIdentity)

    def forget_process(self) -> None:
        """Make the job one that no worker was started for."""
        (self.path / "process.json").unlink(missing_ok=True)

    def forget_outcome(self) -> None:
        """Make the job one that has not ended, so that a supervisor takes it up again."""
        (self.path / "outcome.json").unlink(missing_ok=True)

    def belongs_to(self, nonce: str) -> bool:
        """Whether the worker with this nonce is the one that was started last; '' is one started by hand.

        A worker that finds another's nonce leaves at once: its supervisor died while starting it.
        """
        identity = self.read_process()
        return not nonce or (identity is not None and identity.nonce == nonce)

    def write_note(self, note: str) -> None:
        """Keep the user's words where they survive the loss of the index."""
        write_synced(self.path / "note.txt", note)

    def read_note(self) -> str:
        """The user's words, '' if there are none."""
        try:
            return (self.path / "note.txt").read_text(encoding="utf-8")
        except (OSError, ValueError):
            return ""

    def write_marks(self, marks: JobMarks) -> None:
        """Keep the user's marks where they survive the loss of the index."""
        write_synced(self.path / "marks.json", marks.model_dump_json())

    def read_marks(self) -> JobMarks:
        """The user's marks; none if there are none or they cannot be read."""
        return _read_value(self.path / "marks.json", JobMarks) or JobMarks()

    def write_outcome(self, outcome: Outcome) -> None:
        """Note how the job ended, so that the index can be rebuilt from the folder."""
        write_synced(self.path / "outcome.json", outcome.model_dump_json())

    def read_outcome(self) -> Outcome | None:
        """How the job ended; None while it has not."""
        return _read_value(self.path / "outcome.json", Outcome)


def create_job_folder(jobs: Path, job_id: str, spec: JobSpec, estimate: Estimate | None = None) -> JobFolder:
    """Make a job folder that appears complete or not at all; `estimate` is kept to be compared with what it takes.

    Raises:
        StorageError: no space, read-only, or a job of this id exists.
    """
    try:
        jobs.mkdir(parents=True, exist_ok=True, mode=0o700)
        aside = Path(tempfile.mkdtemp(prefix=".new-", dir=jobs))
        write_synced(aside / "spec.json", json.dumps(spec.model_dump(mode="json"), indent=2, allow_nan=False))
        if estimate is not None:
            write_synced(aside / "estimate.json", estimate.model_dump_json())
        move_into_place(aside, jobs / job_id)
        sync_dir(jobs)
    except OSError as error:
        raise StorageError(
            f"The job cannot be written to {jobs}: {error.strerror}.",
            "Free some space or choose another data folder (WHETSTONE_DATA_DIR).",
        ) from error
    return JobFolder(jobs / job_id)


def job_folders(jobs: Path) -> Iterator[JobFolder]:
    """All complete job folders, in the order of their ids."""
    if not jobs.is_dir():
        return
    for path in sorted(jobs.iterdir()):
        if not path.name.startswith(".") and (path / "spec.json").is_file():
            yield JobFolder(path)


def read_lines(file: Path, offset: int = 0, most_bytes: int = _PAGE_BYTES) -> tuple[list[bytes], int]:
    """Return the whole lines from byte `offset` on, and the offset after the last of them.

    Reads about `most_bytes`, but always one line if there is a whole one.
    """
    try:
        with file.open("rb") as stream:
            stream.seek(offset)
            data = stream.read(most_bytes)
            while len(data) >= most_bytes and b"\n" not in data:
                more = stream.read(most_bytes)
                if not more:
                    break
                data += more
    except FileNotFoundError:
        return [], offset
    whole = data.rfind(b"\n") + 1
    return data[:whole].split(b"\n")[:-1], offset + whole


def _read_value(file: Path, kind: type[_V]) -> _V | None:
    try:
        return kind.model_validate_json(file.read_bytes())
    except (OSError, ValueError):
        return None
