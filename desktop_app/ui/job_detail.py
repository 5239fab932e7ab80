"""One job of the history in a pane: how it ended, its curve, result, settings, note and log, and what to do with it.

Its body scrolls, its buttons stay. Reads the job's folder in a thread, like the Jobs tab.
"""

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from nicegui import events, run, ui

from desktop_app import paths
from desktop_app.domain.event import Succeeded
from desktop_app.domain.job import Job, JobMarks, JobState, models_of
from desktop_app.errors import AppError
from desktop_app.job_folder import JobFolder
from desktop_app.jobs import submit

from .event_feed import EventFeed
from .job_actions import GO_ON, RESUME, RESUME_STOPPED, Action, actions_of, perform
from .job_deletion import delete_job
from .job_figures import REPORT_COPIED, Fact, report_text, settings, summary_figures
from .job_findings import JobFindings
from .job_result import copy_path, draw_checks, draw_facts, show_folder
from .log_view import LogView
from .loss_chart import LossChart
from .result_saving import save_elsewhere
from .run_again import can_be_varied, run_again, vary
from .widgets.banner import BannerPlace, error_banner
from .widgets.bundle_dialog import BUNDLE_HINT, can_be_bundled, make_bundle
from .widgets.button import button, icon_button
from .widgets.copying import copy
from .widgets.export_dialog import EXPORT_HINT, can_be_exported, export_model
from .widgets.figure import Figure, figure_row
from .widgets.hint import hint
from .widgets.job_dot import job_dot
from .widgets.tag_field import tag_field
from .window_state import WindowState
from .wording import duration_text, when_text

_NOTE_CHARS = 2000
_RESUMES = (
    (RESUME, "Go on from its newest checkpoint"),
    (RESUME_STOPPED, "Go on from where you stopped it; what was saved moves aside"),
    (GO_ON, "Go on where it stopped"),
)


class JobDetail:
    """The pane. `show` chooses the job (None closes it), `refresh` brings curve and log up to date."""

    def __init__(self, state: WindowState, on_close: Callable[[], object]) -> None:
        self._state = state
        self._on_close = on_close
        self._job: Job | None = None
        self._feed: EventFeed | None = None
        self._drawn: object = None
        self._loss: LossChart | None = None
        self._log: LogView | None = None
        pane = "w-[300px] shrink-0 rule-l well h-full gap-0 no-wrap max-[999px]:w-[252px]"
        with ui.column().classes(pane).props("role=complementary aria-label=Details") as self._pane:
            self._body = ui.column().classes("w-full grow min-h-0 overflow-y-auto gap-4 p-4 no-wrap")
            self._actions = ui.row().classes("w-full gap-1 p-3 px-4 rule-t shrink-0 no-wrap items-center")
        self._pane.set_visibility(False)

    @property
    def job_id(self) -> str:
        """The id of the job that is shown, '' if none is."""
        return "" if self._job is None else self._job.id

    def show(self, job: Job | None) -> None:
        """Show a job, drawing it anew only if something about it has changed."""
        self._pane.set_visibility(job is not None)
        if job is None:
            self._job = self._feed = self._drawn = None
            return
        if job.id != self.job_id:
            self._feed = EventFeed(JobFolder(paths.jobs_dir() / job.id))
        drawn = (job.id, job.state, job.result, job.message, job.is_archived)
        self._job = job
        if drawn != self._drawn:
            self._drawn = drawn
            self._draw(job)

    async def refresh(self) -> None:
        """Read what is new in the job's folder and show it."""
        feed, job = self._feed, self._job
        if feed is None or job is None:
            return
        is_new = await run.io_bound(feed.read)
        if feed is not self._feed or self._loss is None or self._log is None:
            return
        if is_new:
            self._checks.clear()
            if isinstance(feed.record.end, Succeeded):
                with self._checks:
                    draw_checks(feed.record.end)
            self._draw_buttons(job, feed)
        self._loss.set_visibility(bool(feed.record.metrics.get("loss")))
        await self._loss.show(feed.record)
        await self._findings.show(job, feed.record)
        self._log.show(feed.log, "empty")

    def _draw(self, job: Job) -> None:
        self._body.clear()
        with self._body:
            self._draw_head(job)
            self._problem = BannerPlace()
            if job.state in (JobState.FAILED, JobState.INTERRUPTED):
                error_banner(job.message or job.state.sentence, job.hint, {"Copy report": self._copy_report})
            self._draw_figures(job)
            self._findings = JobFindings(self._state, self._problem.show, is_small=True)
            self._loss = LossChart("!h-[132px] shrink-0", is_small=True)
            self._loss.set_visibility(False)
            if job.result:
                self._draw_result(job)
            self._checks = ui.column().classes("w-full gap-1 empty:hidden")
            self._draw_settings(job)
            self._draw_words(job)
            self._log = LogView("h-[220px] shrink-0")
        if self._feed is not None:
            self._draw_buttons(job, self._feed)

    def _draw_head(self, job: Job) -> None:
        with ui.column().classes("gap-1 w-full"):
            with ui.row().classes("w-full items-center no-wrap"):
                hint(ui.label(job.name).classes("t-lead truncate").props("role=heading aria-level=2"), job.id)
                ui.space()
                if job.state.is_terminal:
                    icon, name = ("o_unarchive", "Bring back") if job.is_archived else ("o_archive", "Archive")
                    icon_button(icon, name, lambda: self._archive(job)).mark("archive")
                icon_button("o_open_in_full", "Show in Jobs", self._open_in_jobs)
                icon_button("o_close", "Close the details", self._on_close)
            with ui.row().classes("items-center gap-2 c-2 no-wrap w-full"):
                job_dot(job.state, is_named=False)
                when = when_text(job.ended, time.time()) if job.ended else ""
                checked = ", checked" if job.state is JobState.SUCCEEDED else ""
                said = ui.label(f"{job.state.value.capitalize()} {when}{checked}".strip()).classes("truncate")
                hint(said, job.state.sentence)

    def _draw_figures(self, job: Job) -> None:
        facts = [Fact("Time", duration_text(job.duration_s))] if job.duration_s is not None else []
        main, others = summary_figures(job.summary)
        with figure_row().classes("gap-x-5 empty:hidden"):
            for fact in [*facts, *main]:
                Figure(fact.name, fact.value, fact.note)
        if others:
            draw_facts(others)

    def _draw_result(self, job: Job) -> None:
        with ui.column().classes("w-full gap-1"):
            with ui.row().classes("w-full items-center no-wrap gap-1"):
                ui.label("Result").classes("t-lead")
                ui.space()
                icon_button("o_content_copy", "Copy path", lambda: copy_path(job.result))
                icon_button("o_folder_open", "Show the result folder", lambda: show_folder(job.result))
                icon_button("o_save_alt", "Save a copy elsewhere", lambda: self._save(job)).mark("save-copy")
            ui.label(job.result).classes("t-mono c-2 break-all w-full")
            if can_be_exported(job):
                export = button("Export", "o_output", on_click=lambda: self._export(job)).mark("export-result")
                hint(export, EXPORT_HINT)

    def _draw_settings(self, job: Job) -> None:
        changed, usual = settings(job)
        with ui.column().classes("w-full gap-1"):
            ui.label("Settings").classes("t-lead")
            draw_facts(changed)
            if usual:
                with ui.expansion(f"{len(usual)} at their default").classes("w-full quiet-expansion"):
                    draw_facts(usual)

    def _draw_words(self, job: Job) -> None:
        async def save_tags(event: events.ValueChangeEventArguments) -> None:
            marks = JobMarks(tags=tuple(map(str, event.value or ())), is_archived=job.is_archived)
            await self._try(submit.set_marks, job.id, marks)

        known = {tag for other in self._state.jobs for tag in other.tags}
        with ui.column().classes("w-full gap-1"):
            ui.label("Tags").classes("t-lead")
            tag_field(job.tags, sorted(known, key=str.lower)).mark("job-tags").on_value_change(save_tags)

        async def save(event: events.ValueChangeEventArguments) -> None:
            await self._try(submit.set_note, job.id, str(event.value or "")[:_NOTE_CHARS])

        with ui.column().classes("w-full gap-1"):
            ui.label("Note").classes("t-lead")
            field = ui.textarea(value=job.note, on_change=save).props("outlined dense autogrow debounce=600")
            field.classes("w-full").props(f"maxlength={_NOTE_CHARS}").props["aria-label"] = "Note"

    def _draw_buttons(self, job: Job, feed: EventFeed) -> None:
        self._actions.clear()
        with self._actions:
            if not job.state.is_terminal:
                button("Show in Jobs", "o_show_chart", on_click=self._open_in_jobs)
                return
            button("Run again", "o_replay", "primary", lambda: self._run_again(job))
            for action, words in _RESUMES:
                if action in actions_of(job, bool(feed.record.checkpoints), feed.record.is_stopped):
                    hint(button("Resume", on_click=partial(self._resume, job, action)), words)
            ui.space()
            if can_be_bundled(job):
                icon_button("o_work_outline", BUNDLE_HINT, lambda: self._bundle(job))
            if can_be_varied(job):
                icon_button("o_library_add", "Repeat with changes", lambda: self._vary(job)).mark("vary")
            icon_button("o_delete", "Delete", lambda: self._delete(job))

    def _open_in_jobs(self) -> None:
        self._state.tab = "jobs"

    async def _vary(self, job: Job) -> None:
        with self._pane:
            await vary(self._state, job, self._problem.show)

    async def _copy_report(self) -> None:
        if self._job is not None and self._feed is not None:
            await copy(report_text(self._job, self._feed.record, self._feed.log), REPORT_COPIED)

    async def _run_again(self, job: Job) -> None:
        try:
            await run_again(self._state, job)
        except AppError as error:
            self._problem.show(error)

    async def _resume(self, job: Job, action: Action) -> None:
        with self._pane:
            if await perform(action, job, self._problem.show):
                self._state.tab = "jobs"

    async def _save(self, job: Job) -> None:
        with self._pane:
            await save_elsewhere(job, Path(job.result), self._problem.show)

    async def _export(self, job: Job) -> None:
        with self._pane:
            await export_model(self._state, models_of(job))

    async def _bundle(self, job: Job) -> None:
        with self._pane:
            await make_bundle(self._state, job.model, job)

    async def _archive(self, job: Job) -> None:
        await self._try(submit.archive, [self._state.job(job.id) or job], not job.is_archived)
        self._on_close()  # it is no longer among the rows
        await self._state.look_at_jobs()

    async def _delete(self, job: Job) -> None:
        with self._pane:
            if await delete_job(job, self._problem.show):
                self._state.job_id = ""
                await self._state.look_at_jobs()

    async def _try(self, do: Callable[..., object], *arguments: object) -> None:
        try:
            await run.io_bound(do, *arguments)
        except AppError as error:
            self._problem.show(error)
