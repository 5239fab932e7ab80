"""What the events of one job add up to: figures, curves, checkpoints, notices, end.

Knows events, not where they come from nor how they are drawn. A run that went on from a checkpoint
repeats steps: the newer values replace the older ones.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from .event import (
    AnyEvent,
    Cancelled,
    Checkpoint,
    Failed,
    InUse,
    Metric,
    Notice,
    Paused,
    Progress,
    Sample,
    Stage,
    Started,
    Succeeded,
)

Point = tuple[float, float]


@dataclass(slots=True)
class RunRecord:
    """One job's events, added up. `metrics` maps a metric's name to its points (step, value)."""

    started: Started | None = None
    stage: str = ""
    progress: Progress | None = None
    metrics: dict[str, list[Point]] = field(default_factory=dict)
    checkpoints: list[Checkpoint] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    in_use: dict[str, Any] = field(default_factory=dict)
    is_paused: bool = False
    end: Succeeded | Failed | Cancelled | None = None
    event_count: int = 0

    def add(self, events: Iterable[AnyEvent]) -> None:
        """Take the next events, in the order in which they happened."""
        for event in events:
            self.event_count += 1
            self._add_one(event)

    @property
    def is_stopped(self) -> bool:
        """Whether the user let it save what it had before it was done, so that it can go on."""
        return isinstance(self.end, Succeeded) and self.end.stopped_early

    def latest(self, name: str) -> float | None:
        """Return the newest value of a metric, None if it was never measured."""
        points = self.metrics.get(name)
        return points[-1][1] if points else None

    def _add_one(self, event: AnyEvent) -> None:
        match event:
            case Metric():
                self._add_metric(event)
            case Progress():
                self.progress = event
            case InUse():
                self.in_use = dict(event.facts)
            case Stage():
                self.stage = event.text
            case Checkpoint():
                self.checkpoints = [known for known in self.checkpoints if known.step < event.step]
                self.checkpoints.append(event)
            case Notice():
                self.notices.append(event)
            case Sample():
                self.samples = [known for known in self.samples if _before(known, event)]
                self.samples.append(event)
            case Started():
                self.started, self.end, self.is_paused = event, None, False
            case Succeeded() | Failed() | Cancelled():
                self.end, self.is_paused = event, False
            case _:
                self.is_paused = isinstance(event, Paused)

    def _add_metric(self, event: Metric) -> None:
        for name, value in event.values.items():
            points = self.metrics.setdefault(name, [])
            while points and points[-1][0] >= event.step:
                points.pop()
            points.append((event.step, value))


def _before(known: Sample, event: Sample) -> bool:
    """Whether an answer still stands beside a newer one: a run that went on from a checkpoint repeats steps."""
    return known.step < event.step or (known.step == event.step and known.prompt != event.prompt)
