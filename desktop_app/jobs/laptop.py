"""Looks after the computer while jobs run: keeps it awake, holds jobs by the user's rules, saves before it sleeps.

Acts in the supervisor's process, through requests in the job folders alone. What it decides it decides anew each
time: nothing is lost when the supervisor is killed while it holds a job.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime

from desktop_app import paths
from desktop_app.domain.job import KINDS_THAT_GO_ON, Job, JobState
from desktop_app.domain.machine import MachineSample
from desktop_app.errors import AppError
from desktop_app.hardware.awake import AwakeLock
from desktop_app.hardware.sensors import machine_sample
from desktop_app.hardware.sleep import SleepWatch, slept_s
from desktop_app.job_folder import JobFolder, Request
from desktop_app.settings import Settings, read_stored

from .attempt import Attempt
from .guard import Guard, Hold, Reading, Rules, reading_of, rules_of

_EVERY_S = 2.0
_SLEPT_S = 2.0  # a gap between the clocks larger than this was sleep
_LOG = logging.getLogger(__name__)


class Laptop:
    """One per supervisor; call `look` in each of its rounds. The parameters are there for tests."""

    def __init__(
        self,
        sense: Callable[[], MachineSample] | None = None,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], datetime] = datetime.now,
        asleep_s: Callable[[], float] = slept_s,
        watch: SleepWatch | None = None,
        read: Callable[[], Settings] = lambda: read_stored(paths.settings_dir()),
    ) -> None:
        self._sense = sense or _SampledAside()
        self._clock, self._wall, self._asleep_s, self._read = clock, wall, asleep_s, read
        self._watch = watch or SleepWatch()
        self._awake = AwakeLock()
        self._guard = Guard()
        self._holds: tuple[Hold, ...] = ()
        self._overruled: dict[str, set[str]] = {}
        self._next = clock()
        self._slept_s = asleep_s()
        self._saving: dict[str, int] | None = None

    def close(self) -> None:
        """Let the computer sleep again."""
        self._awake.set(False)
        self._watch.let_sleep()

    def look(self, attempts: Mapping[str, Attempt], waiting: Iterable[JobFolder]) -> None:
        """Look once; cheap, for what costs something is done every two seconds."""
        self._look_at_sleep(attempts)
        now = self._clock()
        if now >= self._next:
            self._next = now + _EVERY_S
            settings = self._settings()
            is_busy = any(attempt.row.state is JobState.RUNNING for attempt in attempts.values())
            self._awake.set(is_busy and settings.keep_awake)
            self._holds = self._look_at_rules(rules_of(settings), attempts, now)
        for folder in (*(attempt.folder for attempt in attempts.values()), *waiting):
            self._hear(folder)
        for job_id, attempt in attempts.items():
            self._hold(attempt.folder, None if attempt.row.kind in KINDS_THAT_GO_ON else self.hold_of(job_id))

    def hold_of(self, job_id: str) -> Hold | None:
        """Say why a job that computes is held still now; None if it may run."""
        overruled = self._overruled.get(job_id, set())
        return next((hold for hold in self._holds if hold.cause not in overruled), None)

    def _settings(self) -> Settings:
        try:
            return self._read()
        except OSError:
            return Settings({})  # as if nothing had been chosen; the queue must go on

    def _look_at_rules(self, rules: Rules, attempts: Mapping[str, Attempt], now: float) -> tuple[Hold, ...]:
        reading = Reading()
        if rules.needs_sensors:
            own = [attempt.pids() for attempt in attempts.values()] if rules.for_other_program else []
            reading = reading_of(self._sense(), frozenset().union(*own))
        holds = self._guard.look(rules, reading, now, self._wall())
        if {hold.cause for hold in holds} != {hold.cause for hold in self._holds}:
            _LOG.info("%s", "; ".join(hold.text for hold in holds) or "no rule holds jobs still any more")
        causes = {hold.cause for hold in holds}
        self._overruled = {job: kept for job, old in self._overruled.items() if (kept := old & causes)}
        return holds

    def _hear(self, folder: JobFolder) -> None:
        """Obey the user's word that a job is to run all the same, as long as these reasons last."""
        if folder.is_asked(Request.GO_ON):
            folder.take_back(Request.GO_ON)
            self._overruled[folder.id] = {hold.cause for hold in self._holds}

    def _hold(self, folder: JobFolder, hold: Hold | None) -> None:
        is_held = folder.is_asked(Request.HOLD)
        try:
            if hold is not None and not is_held:
                folder.ask(Request.HOLD)
            elif hold is None and is_held:
                folder.take_back(Request.HOLD)
        except (AppError, OSError) as error:
            _LOG.warning("%s: cannot be held or let go: %s", folder.id, error)

    def _look_at_sleep(self, attempts: Mapping[str, Attempt]) -> None:
        slept = self._asleep_s()
        if slept - self._slept_s > _SLEPT_S:
            _LOG.info("The computer slept for %.0f s", slept - self._slept_s)
            for attempt in attempts.values():
                attempt.give_time_anew()
        self._slept_s = slept
        if not self._watch.is_falling_asleep:
            self._saving = None
            return
        if self._saving is None:
            self._saving = self._ask_to_save(attempts)
        if all(job not in attempts or attempts[job].checkpoints > count for job, count in self._saving.items()):
            self._watch.let_sleep()

    def _ask_to_save(self, attempts: Mapping[str, Attempt]) -> dict[str, int]:
        """Ask trainings at work for a checkpoint; return how many each has written so far."""
        asked = {}
        for job_id, attempt in attempts.items():
            if attempt.row.kind == "finetune" and attempt.row.state is JobState.RUNNING and attempt.row.done:
                try:
                    attempt.folder.ask(Request.SAVE)
                except AppError as error:
                    _LOG.warning("%s", error)
                    continue
                asked[job_id] = attempt.checkpoints
        return asked


class _SampledAside:
    """The newest sample, taken in a thread: a driver that hangs must not hold up the queue."""

    def __init__(self) -> None:
        self._sample = MachineSample(time=0.0, cpu=0.0, memory_total=0, memory_used=0)
        self._thread: threading.Thread | None = None

    def __call__(self) -> MachineSample:
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._take, name="sensors", daemon=True)
            self._thread.start()
            self._thread.join(0.2)  # normally it is there at once
        return self._sample

    def _take(self) -> None:
        self._sample = machine_sample()


def held_row(row: Job, hold: Hold | None, folder: JobFolder) -> Job:
    """Return the row of a job with what holds it still, for whoever shows it; the user's own word comes first."""
    if row.state is JobState.PAUSED and folder.is_asked(Request.PAUSE):
        kept = "It goes on" if row.started is None else "It keeps its memory and goes on"
        return replace(row, stage=f"Paused by you. {kept} when you press Continue.")
    if row.state is JobState.PAUSED:
        return replace(row, stage="" if hold is None else hold.text)
    if row.state is JobState.QUEUED and hold is not None:
        return replace(row, stage=hold.text.replace("Paused", "Waits", 1))
    return row
