"""What the window knows and where it stands: one for the program, however many pages draw it.

Draws nothing. Its timers look at the index and at the computer in threads; pages hear of changes by events,
whose subscriptions end with the page.
"""

import time
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from nicegui import Event, app, background_tasks, run
from nicegui.binding import BindableProperty

from desktop_app.domain.chat import Speaker
from desktop_app.domain.job import KINDS_THAT_GO_ON, Job, JobState, subject_of
from desktop_app.domain.machine import MachineSample
from desktop_app.domain.spec import JobSpec, parse_spec
from desktop_app.errors import AppError
from desktop_app.hardware.notification import notify, play_sound
from desktop_app.paths import chats_dir
from desktop_app.services.chat import Chat
from desktop_app.services.client import Service
from desktop_app.services.probe import Prober
from desktop_app.settings import Settings
from desktop_app.storage.conversations import Conversations
from desktop_app.storage.index import Index

from .chat_session import MOST_COLUMNS, ChatSession
from .forms.finetune_form import FinetuneForm
from .forms.quantize_form import QuantizeForm
from .job_ending import ending
from .known_data import KnownData
from .known_models import KnownModels
from .model_scan import ModelScan
from .probe_run import ProbeRun

JOBS_INTERVAL_S = 0.5
MACHINE_INTERVAL_S = 1.0
FOLDERS_INTERVAL_S = 5.0
MACHINE_SAMPLES = 300  # five minutes
_SAMPLE_TIMEOUT_S = 3.0
_SAMPLE_RETRY_S = 5.0


class WindowState:
    """Everything that outlives a page. Change it from the event loop only.

    `tab` is the key of the shown tab, `job_id` the job that Jobs or History shows, `model` and `data` the chosen
    paths ('' if none): all four can be bound. `jobs` are newest first, `machine` holds one sample per second.
    `reader` is a second `inspect` for what takes long and can be stopped, `models` and `files` are what it found,
    `scan` is its search for models.
    The forms live here so that a page that is loaded again shows what was typed.
    """

    tab = BindableProperty()
    job_id = BindableProperty()
    model = BindableProperty()
    data = BindableProperty()

    def __init__(
        self,
        settings: Settings,
        index: Index,
        inspect: Service,
        sensors: Service,
        reader: Service | None = None,
        hub: Service | None = None,
        chat: Chat | None = None,
        prober: Prober | None = None,
    ) -> None:
        self.settings = settings
        self.index = index
        self.inspect = inspect
        self.sensors = sensors
        self.reader = reader or inspect
        self.hub = hub or Service("hub")  # started by the first question to it, which only the user asks
        self.models = KnownModels(settings, inspect)
        self.scan = ModelScan(self.models, self.reader)
        self.files = KnownData(settings, self.reader, inspect)
        self.chat = ChatSession(chat or Chat(), Conversations(chats_dir()), self._name_of)
        self.chat.chat.may_use_llama_cpp = lambda: settings.chat_by_llama_cpp
        self.probe = ProbeRun(prober or Prober(), lambda: self.jobs, self.chat.chat.give_way)
        self.finetune_form = FinetuneForm()
        self.quantize_form = QuantizeForm()
        self.tab = "models"
        self.job_id = ""
        self.model = ""
        self.data = ""
        self.prefill: JobSpec | None = None
        self.is_start_promised = False  # what fills the form in is to start by itself
        self.level = "Simple"  # how much forms show; a page that is drawn anew shows as much
        self.jobs: list[Job] = []
        self.jobs_problem: AppError | None = None
        self.machine: deque[MachineSample] = deque(maxlen=MACHINE_SAMPLES)
        self.machine_problem: AppError | None = None
        self.jobs_changed = Event[[]]()
        self.job_ended = Event[[Job]]()
        self.machine_changed = Event[[]]()
        self.settings_changed = Event[[]]()
        self.dropped = Event[[list[str]]]()
        self.prefilled = Event[[JobSpec]]()
        self.page_link: Callable[[str], str] | None = None  # makes a link that lets a browser in, for the native window
        self._followed = _FollowedJobs()
        self._version: int | None = None
        self._sample_after = 0.0

    def start(self) -> None:
        """Begin to look at the index and at the computer; call once, before or while the server runs."""
        app.timer(JOBS_INTERVAL_S, self.look_at_jobs)
        app.timer(MACHINE_INTERVAL_S, self.look_at_machine)
        app.timer(FOLDERS_INTERVAL_S, self.look_at_folders)

    def close(self) -> None:
        """End the helpers, so that no thread that waits for one keeps the program from ending."""
        for service in (self.inspect, self.sensors, self.reader, self.hub, self.models.walker):
            service.close()
        self.probe.stop()
        self.chat.chat.free()

    @property
    def active_job(self) -> Job | None:
        """The job that is at work or paused, None if there is none; one that computes before one that fetches."""
        at_work = [job for job in self.jobs if job.state in (JobState.RUNNING, JobState.PAUSED)]
        return min(at_work, key=lambda job: job.kind in KINDS_THAT_GO_ON, default=None)

    @property
    def queued_jobs(self) -> list[Job]:
        """The jobs that wait, in the order in which they will start."""
        return [job for job in reversed(self.jobs) if job.state is JobState.QUEUED]

    def job(self, job_id: str) -> Job | None:
        """Return a job by its id as the index last told it, None if it is not there (yet)."""
        return next((job for job in self.jobs if job.id == job_id), None)

    def talk_to(self, *paths: str) -> None:
        """Open Chat with models; an adapter beside itself switched off, which shows what it has learned."""
        speakers: list[Speaker] = []
        for path in paths:
            facts = self.models.facts.get(path)
            is_adapter = facts is not None and facts.kind == "adapter"
            speakers += [Speaker(model=path), *([Speaker(model=path, adapter=False)] if is_adapter else [])]
        if not self.chat.is_busy:
            self.chat.set_up(speakers=tuple(speakers[:MOST_COLUMNS]))
            self.chat.begin()
        self.tab = "chat"

    def open_job(self, job_id: str) -> None:
        """Show a job: in History if it has ended, else in Jobs, also if the index does not know it yet."""
        job = self.job(job_id)
        self.job_id = job_id
        self.tab = "history" if job is not None and job.state.is_terminal else "jobs"

    def choose_model(self, path: str | Path) -> None:
        """Choose the model that the forms work on."""
        self.model = str(path)

    def choose_data(self, path: str | Path) -> None:
        """Choose the data that the fine-tuning form works on."""
        self.data = str(path)

    def fill_form(self, raw: dict[str, Any], starts: bool = False) -> None:
        """Open the form of a spec, filled in with it, for 'run again'.

        A form that is drawn hears `prefilled`; one that is drawn later takes `prefill`. With `starts` it starts by
        itself, unless something speaks against that.

        Raises:
            SpecError: if another version of the program wrote the spec and this one cannot read it.
        """
        spec = parse_spec(raw)
        self.prefill, self.is_start_promised = spec, starts
        self.choose_model(subject_of(spec))
        if spec.kind == "finetune":
            self.choose_data(spec.data)
        self.tab = spec.kind
        self.prefilled.emit(spec)

    async def look_at_jobs(self) -> None:
        """Read the jobs again if any process has changed the index."""
        found = await run.io_bound(self._changed_jobs)
        if found is None:
            return
        version, answer = found
        before = None if self._version is None else {job.id: job.state for job in self.jobs}
        self._version = version
        self.jobs_problem = answer if isinstance(answer, AppError) else None
        if not isinstance(answer, AppError):
            self.jobs = answer
        self.models.follow(self.jobs)
        if any(job.kind not in KINDS_THAT_GO_ON for job in self.queued_jobs):
            self.probe.stop()  # the job comes first
        self.jobs_changed.emit()
        if _starts_to_compute(before, self.jobs):
            await run.io_bound(self.chat.chat.give_way)  # the job needs the memory
        for job in _ended(before, self.jobs):
            self.job_ended.emit(job)
            if self.settings.notifications:
                background_tasks.create(run.io_bound(notify, *ending(job)), name=f"notify of {job.id}")
            if self.settings.sound:
                background_tasks.create(run.io_bound(play_sound), name=f"sound for {job.id}")

    async def look_at_folders(self) -> None:
        """Search the watched folders in which something has changed since they were searched."""
        if not self.scan.is_running and (roots := await run.io_bound(self.models.roots_to_search)):
            await self.scan.run(roots, is_quiet=True)

    async def look_at_machine(self) -> None:
        """Take one sample of the computer; after a failure wait a while, so that a broken driver costs nothing."""
        if time.monotonic() < self._sample_after:
            return
        found = await run.io_bound(self._sample)
        if isinstance(found, AppError):
            self.machine_problem = found
            self._sample_after = time.monotonic() + _SAMPLE_RETRY_S
        elif found is not None:
            self.machine_problem = None
            self.machine.append(found)
        self.machine_changed.emit()

    def _name_of(self, speaker: Speaker) -> str:
        facts = self.models.facts.get(speaker.model)
        name = facts.name if facts is not None else Path(speaker.model).name
        return name if speaker.adapter else f"{name}, adapter off"

    def _changed_jobs(self) -> tuple[int, list[Job] | AppError] | None:
        version = self.index.data_version()  # before the rows: a write between the two is seen at the next look
        if version == self._version:
            return None
        try:
            return version, self._followed.read(self.index)
        except AppError as error:
            return version, error

    def _sample(self) -> MachineSample | AppError:
        try:
            return MachineSample.model_validate(self.sensors.call("sample", _SAMPLE_TIMEOUT_S))
        except AppError as error:
            return error


class _FollowedJobs:
    """All jobs as the index last told them; asks only for those that have changed."""

    def __init__(self) -> None:
        self._jobs: dict[str, Job] = {}
        self._revision = 0

    def read(self, index: Index) -> list[Job]:
        """Return all jobs, the newest first."""
        changes = index.changes(self._revision)
        known = {**self._jobs, **{job.id: job for job in changes.jobs}}
        if len(known) != changes.count:
            changes = index.changes()
            known = {job.id: job for job in changes.jobs}
        self._jobs, self._revision = known, changes.revision
        return sorted(known.values(), key=lambda job: (job.created, job.id), reverse=True)


def _ended(before: dict[str, JobState] | None, jobs: Iterable[Job]) -> list[Job]:
    """Say which jobs have ended since `before`; at the first look (None) none has."""
    if before is None:
        return []
    return [job for job in jobs if job.state.is_terminal and not before.get(job.id, JobState.QUEUED).is_terminal]


def _starts_to_compute(before: dict[str, JobState] | None, jobs: Iterable[Job]) -> bool:
    """Whether a job that needs the device has begun since `before`; at the first look (None) none has."""
    running = [job for job in jobs if job.state is JobState.RUNNING and job.kind not in KINDS_THAT_GO_ON]
    return before is not None and any(before.get(job.id) is not JobState.RUNNING for job in running)
