"""One job on one page: how it stands, its figures, loss and machine charts, notices, result, log, and its buttons.

Reads the job's folder through an EventFeed in a thread and redraws only what changed; knows no other job.
"""

import asyncio
import time
from collections.abc import Callable, Hashable

from nicegui import run, ui

from desktop_app import paths
from desktop_app.domain.job import Job, JobState, models_of
from desktop_app.job_folder import JobFolder

from .evaluation_view import draw_evaluation
from .event_feed import EventFeed
from .job_actions import Action, actions_of, perform
from .job_figures import REPORT_COPIED, Fact, headline, in_use_text, report_text, run_figures
from .job_findings import JobFindings
from .job_result import draw_result, talked_to
from .job_rows import is_main_unit, method_text, model_name, progress_share
from .log_view import LogView
from .loss_chart import LossChart
from .machine_charts import MachineCharts
from .run_again import can_be_varied, vary
from .sample_answers import draw_samples
from .widgets.banner import BannerPlace, error_banner
from .widgets.bundle_dialog import BUNDLE_HINT, can_be_bundled, make_bundle
from .widgets.button import button, icon_button
from .widgets.copying import copy
from .widgets.evaluate_dialog import evaluate_model
from .widgets.export_dialog import export_model
from .widgets.figure import Figure, figure_row
from .widgets.hint import hint
from .widgets.job_dot import job_state
from .window_state import WindowState
from .wording import duration_text, time_left_text

_LOW = "[@media(max-height:700px)]"  # a low window: the charts give way so that some log lines stay
_TALL = f"grow min-h-[180px] {_LOW}:min-h-[128px]"
_BODY = f"w-full grow min-h-0 overflow-y-auto gap-4 px-4 pb-4 pt-2 no-wrap {_LOW}:gap-3"
_NO_LOG = {JobState.QUEUED: "Starts when it is its turn.", JobState.RUNNING: "Nothing printed yet."}


class JobView:
    """The lower part of the Jobs tab; `show` chooses the job, `refresh` brings it up to date."""

    def __init__(self, state: WindowState, on_run_again: Callable[[Job], object]) -> None:
        self._window = state
        self._on_run_again = on_run_again
        self._job: Job | None = None
        self._feed: EventFeed | None = None
        self._reading = asyncio.Lock()  # the clock and a choice may ask at the same time
        self._drawn: dict[int, Hashable] = {}
        self._evaluated = ""
        self._figures: dict[str, Figure] = {}
        with ui.column().classes("w-full grow min-h-0 gap-0 no-wrap") as self._root:
            with ui.row().classes("w-full items-center gap-3 px-4 pt-3 shrink-0 no-wrap"):
                self._name = (
                    ui.label("").classes("t-title truncate shrink-0 max-w-[45%]").props("role=heading aria-level=2")
                )
                self._about = ui.label("").classes("c-3 truncate min-w-0 flex-1")
                self._buttons = ui.row().classes("gap-2 no-wrap shrink-0")
            with ui.column().classes(_BODY) as self._body:
                self._draw_body()

    @property
    def job_id(self) -> str:
        """The id of the job that is shown, '' if none is."""
        return "" if self._job is None else self._job.id

    def show(self, job: Job | None) -> None:
        """Choose the job; None shows nothing."""
        self._root.set_visibility(job is not None)
        if job is None:
            self._job = self._feed = None
            return
        if self._job is None or job.id != self._job.id:
            self._feed = EventFeed(JobFolder(paths.jobs_dir() / job.id))
            self._problem.clear()
            self._show_body(False)  # it tells of the job before; the next refresh shows all of this one at once
        self._job = job
        self._name.set_text(job.name)
        self._about.set_text(" · ".join(filter(None, (method_text(job), model_name(job), _file_name(job.data)))))

    async def refresh(self) -> None:
        """Read what is new in the job's folder and show it."""
        feed = self._feed
        if feed is None:
            return
        async with self._reading:
            await run.io_bound(feed.read)
            if feed is self._feed and self._job is not None:
                await self._show_feed(self._job, feed)
                self._show_body(feed is self._feed)

    def _show_body(self, is_visible: bool) -> None:
        self._body.set_visibility(is_visible)
        self._buttons.set_visibility(is_visible)

    def _draw_body(self) -> None:
        self._problem = BannerPlace()
        self._banner = ui.column().classes("w-full gap-0")
        with ui.column().classes("w-full gap-2 shrink-0"):
            with ui.row().classes("w-full items-baseline gap-3 no-wrap"):
                self._big = ui.label("").classes("t-big whitespace-nowrap")
                self._lead = ui.label("").classes("t-title font-normal truncate")
                self._small = ui.label("").classes("c-3 whitespace-nowrap max-[999px]:hidden")
                ui.space()
                self._state = ui.row().classes("items-center gap-2 no-wrap c-2 shrink-0")
            self._bar = ui.linear_progress(0, show_value=False, size="6px").props('aria-label="Progress"')
        self._hold = ui.column().classes("w-full gap-0 shrink-0")
        self._in_use = ui.column().classes("w-full gap-0 shrink-0")
        self._figure_row = figure_row().classes("justify-between shrink-0")
        self._findings = JobFindings(self._window, self._problem.show)
        self._result = ui.column().classes("w-full gap-0 shrink-0")
        self._evaluation = ui.column().classes("w-full gap-0 shrink-0 no-wrap")
        self._evaluation.set_visibility(False)
        with ui.row().classes("w-full gap-4 no-wrap items-stretch") as self._charts:
            self._loss = LossChart("grow")
            self._machine_charts = MachineCharts("w-[248px] shrink-0 max-[999px]:w-[200px]")
        self._samples = ui.column().classes("w-full gap-0 shrink-0")
        self._notices = ui.column().classes("w-full gap-1 shrink-0")
        self._log = LogView(f"h-[152px] shrink-0 {_LOW}:h-[126px]")

    async def _show_feed(self, job: Job, feed: EventFeed) -> None:
        record, now_s = feed.record, time.time()
        self._once(
            self._buttons,
            (job.id, job.state, bool(record.checkpoints), bool(job.stage), record.is_stopped),
            lambda: self._draw_buttons(job, feed),
        )
        self._once(self._banner, (job.id, job.state, job.message), lambda: self._draw_banner(job, feed))
        self._once(self._state, (job.state,), lambda: None if job.state.is_terminal else job_state(job.state))
        self._once(
            self._result,
            (job.id, job.result, record.end is not None),
            lambda: (
                None if job.kind == "evaluate" else draw_result(job, record, self._export, self._evaluate, self._talk)
            ),
        )
        notices = tuple(notice.text for notice in record.notices)
        self._once(self._notices, (job.id, notices), lambda: _draw_notices(feed))
        answered = (len(record.samples), record.samples[-1:])
        self._once(self._samples, (job.id, str(answered)), lambda: draw_samples(record.samples))
        why = job.stage if job.state in (JobState.PAUSED, JobState.QUEUED) else ""
        self._once(self._hold, (job.id, why), lambda: _draw_hold(why))
        self._show_progress(job, feed, now_s)
        self._show_figures(run_figures(job, record, now_s))
        self._once(self._in_use, (job.id, str(record.in_use)), lambda: _draw_in_use(in_use_text(record.in_use)))
        self._show_machine(job, feed)
        self._log.show(feed.log, _NO_LOG.get(job.state, "Nothing was printed."))
        may_come = job.kind == "finetune" and record.end is None
        has_loss = bool(record.metrics.get("loss")) or may_come
        self._loss.set_visibility(has_loss)
        self._machine_charts.set_wide(not has_loss)
        self._charts.classes(add=_TALL if has_loss else "shrink-0", remove="shrink-0" if has_loss else _TALL)
        await self._findings.show(job, record)
        await self._show_evaluation(job)
        total = record.progress.total if record.progress is not None and record.progress.unit == "step" else 0
        await self._loss.show(record, total)

    async def _show_evaluation(self, job: Job) -> None:
        """Draw the report of an evaluation, once."""
        key = job.id if job.kind == "evaluate" and job.result else ""
        if key == self._evaluated:
            return
        self._evaluated = key
        self._evaluation.clear()
        self._evaluation.set_visibility(bool(key))
        if key:
            with self._evaluation:
                await draw_evaluation(job, list(self._window.jobs))

    def _show_progress(self, job: Job, feed: EventFeed, now_s: float) -> None:
        progress = feed.record.progress
        is_going = job.state in (JobState.RUNNING, JobState.PAUSED)
        share, eta_s = progress_share(job), job.eta_s
        if is_going and progress is not None and progress.total and is_main_unit(job.kind, progress.unit):
            share, eta_s = min(1.0, progress.done / progress.total), progress.eta_s or eta_s
        big, lead, small = headline(job, share, eta_s, now_s)
        stage = feed.record.stage if job.state is JobState.RUNNING else ""
        left = time_left_text(eta_s) if job.state is JobState.RUNNING and share is not None else ""
        spread_s = progress.eta_spread_s if is_going and progress is not None else None
        if left and spread_s and spread_s >= 1:
            left = f"{left}, give or take {duration_text(spread_s)}"
        running = f"running for {duration_text(now_s - job.started)}" if is_going and job.started else ""
        self._big.set_text(big)
        self._lead.set_text(lead or left or stage)
        self._small.set_text(" · ".join(filter(None, (small, running))))
        self._bar.set_value(share or 0)
        self._bar.set_visibility(is_going)

    def _show_figures(self, facts: list[Fact]) -> None:
        if [fact.name for fact in facts] != list(self._figures):
            self._figure_row.clear()
            with self._figure_row:
                self._figures = {fact.name: Figure(fact.name) for fact in facts}
            for fact in facts:
                if fact.about:
                    hint(self._figures[fact.name].column, fact.about)
        for fact in facts:
            self._figures[fact.name].show(fact.value, fact.note)
        self._figure_row.set_visibility(bool(facts))

    def _show_machine(self, job: Job, feed: EventFeed) -> None:
        if job.state.is_terminal:
            self._machine_charts.show_run(feed.machine)
        else:
            self._machine_charts.show_now(list(self._window.machine))

    def _draw_buttons(self, job: Job, feed: EventFeed) -> None:
        for action in actions_of(job, bool(feed.record.checkpoints), feed.record.is_stopped):
            if action.is_small:
                icon_button(action.icon, action.name, lambda action=action: self._perform(action, job))
            else:
                button(action.name, action.icon, on_click=lambda action=action: self._perform(action, job))
        if can_be_bundled(job):
            icon_button("o_work_outline", BUNDLE_HINT, lambda: self._bundle(job))
        if can_be_varied(job):
            icon_button("o_library_add", "Repeat with changes", lambda: self._vary(job)).mark("vary")
        if job.state.is_terminal:
            button("Run again", "o_replay", on_click=lambda: self._on_run_again(job))

    def _talk(self, job: Job) -> None:
        self._window.talk_to(*talked_to(job))

    async def _evaluate(self, job: Job) -> None:
        with self._root:
            await evaluate_model(self._window, next(iter(models_of(job))))

    async def _export(self, job: Job) -> None:
        with self._root:
            await export_model(self._window, models_of(job))

    async def _bundle(self, job: Job) -> None:
        with self._root:
            await make_bundle(self._window, job.model, job)

    async def _vary(self, job: Job) -> None:
        self._problem.clear()
        with self._root:
            await vary(self._window, job, self._problem.show)

    async def _perform(self, action: Action, job: Job) -> None:
        self._problem.clear()
        with self._root:
            await perform(action, job, self._problem.show)

    def _draw_banner(self, job: Job, feed: EventFeed) -> None:
        if job.state not in (JobState.FAILED, JobState.INTERRUPTED):
            return

        async def copy_report() -> None:
            await copy(report_text(job, feed.record, feed.log), REPORT_COPIED)

        error_banner(job.message or job.state.sentence, job.hint, {"Copy report": copy_report})

    def _once(self, place: ui.element, key: Hashable, draw: Callable[[], object]) -> None:
        """Draw into `place` anew, but only if what it shows has changed."""
        if self._drawn.get(place.id) == key:
            return
        self._drawn[place.id] = key
        place.clear()
        with place:
            draw()
        place.set_visibility(bool(place.default_slot.children))


def _draw_hold(why: str) -> None:
    """Say why a job is held still and when it goes on, where the supervisor holds it."""
    if why:
        with ui.row().classes("items-start gap-2 no-wrap w-full").mark("hold"):
            ui.icon("o_pause_circle").classes("text-[16px] mt-0.5 c-warn").props("aria-hidden=true")
            ui.label(why).classes("min-w-0 break-words")


def _draw_in_use(text: str) -> None:
    if text:
        hint(ui.label(text).classes("t-small c-3 truncate w-full").mark("in-use"), text)


def _draw_notices(feed: EventFeed) -> None:
    for notice in feed.record.notices[-20:]:
        is_warning = notice.level == "warning"
        with ui.row().classes("items-start gap-2 no-wrap w-full"):
            icon = ui.icon("o_warning_amber" if is_warning else "o_info").classes("text-[16px] mt-0.5")
            icon.classes("c-warn" if is_warning else "c-3").props("role=img").props["aria-label"] = notice.level
            ui.label(notice.text).classes("c-2 min-w-0 break-words")


def _file_name(path: str) -> str:
    return path.replace("\\", "/").rsplit("/", 1)[-1]
