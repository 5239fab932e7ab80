"""What happened in a job: one JSON line per event in `events.jsonl`.

Only a worker writes events. The last one decides how the job ended; no last one means `interrupted`.
`v` is the version of this format; a reader skips kinds it does not know.
"""

from typing import Annotated, Literal

from pydantic import Field, TypeAdapter, ValidationError

from .value import Value

EVENT_VERSION = 1


class Event(Value):
    """What all events have; `time` is Unix time in seconds, `seq` counts from 0 within a job and never repeats."""

    v: int = EVENT_VERSION
    seq: int = Field(ge=0)
    time: float


class Started(Event):
    """The worker has read its spec; `versions` names the libraries in use."""

    kind: Literal["started"] = "started"
    pid: int
    device: str = ""
    versions: dict[str, str] = {}


class Stage(Event):
    """What the worker is doing now, in words: 'Loading the model'."""

    kind: Literal["stage"] = "stage"
    text: str


class Progress(Event):
    """How far the job is: `done` of `total` `unit` ('step', 'byte', 'check'); `rate` is `rate_unit` per second.

    `eta_s` is right to about plus or minus `eta_spread_s`, by how evenly the latest steps went.
    """

    kind: Literal["progress"] = "progress"
    done: float
    total: float
    unit: str = "step"
    epoch: float | None = None
    rate: float | None = None
    rate_unit: str = ""
    eta_s: float | None = None
    eta_spread_s: float | None = None


class Metric(Event):
    """Measured values at a step, by their usual names: loss, eval_loss, learning_rate, grad_norm, tokens_per_s."""

    kind: Literal["metric"] = "metric"
    step: int
    values: dict[str, float]


class InUse(Event):
    """What the job really uses, whatever was asked for: device, number formats, wrapper, attention, trained weights."""

    kind: Literal["in_use"] = "in_use"
    facts: dict[str, int | float | str | bool | None]


class Notice(Event):
    """Something the user should know that is no failure."""

    kind: Literal["notice"] = "notice"
    level: Literal["info", "warning"] = "info"
    text: str


class Sample(Event):
    """What the model answered to one of the user's prompts at `step`, while it was learning."""

    kind: Literal["sample"] = "sample"
    step: int
    prompt: str
    answer: str


class Checkpoint(Event):
    """A checkpoint was verified at `step`; `path` is relative to the job folder. `is_best`: lowest held-out loss."""

    kind: Literal["checkpoint"] = "checkpoint"
    step: int
    path: str
    is_best: bool = False


class Paused(Event):
    """The worker holds still at `step` until it is told to go on."""

    kind: Literal["paused"] = "paused"
    step: int


class Resumed(Event):
    """The worker goes on after a pause."""

    kind: Literal["resumed"] = "resumed"
    step: int


class Succeeded(Event):
    """The result stands verified at `result` (absolute path); `summary` holds figures for the history.

    `checks` names what was verified, each with its finding. `stopped_early`: the user asked to stop and save.
    """

    kind: Literal["succeeded"] = "succeeded"
    result: str
    summary: dict[str, int | float | str | bool | None] = {}
    checks: dict[str, str] = {}
    stopped_early: bool = False


class Failed(Event):
    """The job ended with a problem; `error` is a branch of the error tree or 'bug'."""

    kind: Literal["failed"] = "failed"
    error: str
    message: str
    hint: str = ""


class Cancelled(Event):
    """The worker ended because it was asked to; nothing was kept."""

    kind: Literal["cancelled"] = "cancelled"


AnyEvent = Annotated[
    Started
    | Stage
    | Progress
    | Metric
    | InUse
    | Notice
    | Sample
    | Checkpoint
    | Paused
    | Resumed
    | Succeeded
    | Failed
    | Cancelled,
    Field(discriminator="kind"),
]
LAST_EVENTS = (Succeeded, Failed, Cancelled)
_ADAPTER: TypeAdapter[AnyEvent] = TypeAdapter(AnyEvent)


def parse_event(line: str | bytes) -> AnyEvent | None:
    """Read one line of `events.jsonl`; None if it is torn or of a kind this version does not know."""
    try:
        return _ADAPTER.validate_json(line)
    except ValidationError:
        return None
