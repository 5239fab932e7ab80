"""The short measurement of the window: at most one at a time, and what was found for which settings. Draws nothing."""

import json
from collections.abc import Callable, Sequence

from nicegui import run

from desktop_app.domain.finetune_spec import FinetuneSpec
from desktop_app.domain.job import Job
from desktop_app.domain.probe import Probe, probed_settings
from desktop_app.errors import AppError
from desktop_app.jobs.spec_paths import with_absolute_paths
from desktop_app.services.client import CallCancelled
from desktop_app.services.probe import Prober

_MOST_KEPT = 50


class ProbeRun:
    """`stage` says what the one that goes on is doing, '' if none does; change it from the event loop only."""

    def __init__(self, prober: Prober, jobs: Callable[[], Sequence[Job]], make_room: Callable[[], object]) -> None:
        """`make_room` gives back memory that this program holds; it is called in a thread, as is the measurement."""
        self.stage = ""
        self._prober = prober
        self._jobs = jobs
        self._make_room = make_room
        self._measured: FinetuneSpec | None = None
        self._found: dict[str, Probe | AppError] = {}

    def of(self, spec: FinetuneSpec) -> Probe | AppError | None:
        """Return what was measured with such settings, or why they cannot be trained; None if nobody tried."""
        return self._found.get(_key(spec))

    def is_measuring(self, spec: FinetuneSpec) -> bool:
        """Whether such settings are measured now."""
        return self._measured is not None and _key(self._measured) == _key(spec)

    async def measure(self, spec: FinetuneSpec) -> None:
        """Measure, and keep what was found; without effect while another measurement goes on."""
        if self._measured is not None:
            return
        self._measured, self.stage = spec, "Starting"
        try:
            found = await run.io_bound(self._measure, spec)
        finally:
            self._measured, self.stage = None, ""
        if found is not None:
            self._found[_key(spec)] = found
            for key in list(self._found)[:-_MOST_KEPT]:
                del self._found[key]

    def stop(self) -> None:
        """End the one that goes on."""
        if self._measured is not None:
            self._prober.stop()

    def _measure(self, spec: FinetuneSpec) -> Probe | AppError | None:
        try:
            self._make_room()
            absolute = with_absolute_paths(spec)
            assert isinstance(absolute, FinetuneSpec)
            return self._prober.probe(absolute, self._jobs(), self._hear)
        except CallCancelled:
            return None
        except AppError as problem:
            return problem

    def _hear(self, stage: str) -> None:
        self.stage = stage


def _key(spec: FinetuneSpec) -> str:
    return json.dumps(probed_settings(spec), sort_keys=True)
