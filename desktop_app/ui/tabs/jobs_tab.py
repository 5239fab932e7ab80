"""Jobs: the queue as a table, and below it the chosen job at work.

Shows jobs that have not ended and those of the last day; the rest is history. The work is the supervisor's:
everything here is read from the index and the job folders, so a page drawn anew shows the same.
"""

import time

from nicegui import background_tasks, ui

from desktop_app.domain.job import Job, JobState
from desktop_app.errors import AppError
from desktop_app.ui.job_filter_bar import JobFilterBar
from desktop_app.ui.job_rows import in_queue_order
from desktop_app.ui.job_table import Column, JobTable
from desktop_app.ui.job_view import JobView
from desktop_app.ui.machine_charts import MachineCharts
from desktop_app.ui.run_again import run_again
from desktop_app.ui.widgets.banner import BannerPlace
from desktop_app.ui.widgets.button import button
from desktop_app.ui.widgets.empty_state import empty_state
from desktop_app.ui.widgets.page import TitleBar
from desktop_app.ui.window_state import WindowState

_RECENT_S = 24 * 3600.0
_REFRESH_S = 0.5
_ROW_PX, _HEADER_PX = 34, 29
_COLUMNS = [
    Column(field="name", title="Job"),
    Column(field="method", title="Method", width="w-[88px]", classes="c-2"),
    Column(field="model", title="Model", width="w-[22%]", classes="c-2 max-[999px]:hidden"),
    Column(field="progress", title="Progress", width="w-[212px]"),
    Column(field="left", title="Time left", width="w-[112px]", is_right=True, classes="c-2"),
    Column(field="when", title="When", width="w-[104px]", is_right=True, classes="c-2"),
]


def draw(state: WindowState) -> None:
    """Draw the tab into the current place."""
    JobsTab(state)


def recent_jobs(jobs: list[Job], now_s: float) -> list[Job]:
    """Return the jobs that have not ended or ended within a day."""
    return [job for job in jobs if not job.state.is_terminal or (job.ended or job.created) > now_s - _RECENT_S]


class JobsTab:
    """One page's view of the queue. `state.job_id` is the chosen job; without one the job at work is shown."""

    def __init__(self, state: WindowState) -> None:
        self.state = state
        self.is_stale = False
        self.bar = JobFilterBar(self._show_jobs)
        with TitleBar("Jobs") as title:
            self.bar.draw_chips("no-wrap max-[999px]:hidden", with_kinds=False)
            self.bar.draw_search("the jobs")
        self.title = title
        self.problem = BannerPlace()
        with ui.column().classes("w-full grow min-h-0 gap-0 no-wrap") as self.full:
            self.table = JobTable(_COLUMNS, self._choose, "w-full shrink-0 rule-b job-queue", order=in_queue_order)
            self.none = ui.label("No job fits the filter.").classes("c-3 px-4 py-2")
            self.view = JobView(state, self._run_again)
        with ui.column().classes("w-full grow min-h-0 gap-4 p-4 no-wrap overflow-y-auto") as self.empty:
            self._draw_empty()
        self._show_jobs()
        state.jobs_changed.subscribe(self._jobs_changed)
        ui.timer(_REFRESH_S, self._refresh)

    def _draw_empty(self) -> None:
        with empty_state(
            "o_show_chart",
            "Nothing is running",
            "A job that you start in Fine-tune or Quantize appears here with its loss, log and time left. "
            "Jobs that ended more than a day ago are in History.",
        ):
            button("Fine-tune a model", "o_tune", "primary", lambda: setattr(self.state, "tab", "finetune"))
            button("Quantize a model", on_click=lambda: setattr(self.state, "tab", "quantize"))
        self.idle_charts = MachineCharts()
        self.idle_charts.set_wide(True)

    def _jobs_changed(self) -> None:
        """Draw what has changed, but nothing that is out of sight: each change costs the page some milliseconds."""
        self.is_stale = self.state.tab != "jobs"
        if not self.is_stale:
            self._show_jobs()

    def _show_jobs(self) -> None:
        now_s = time.time()
        jobs = recent_jobs(self.state.jobs, now_s)
        chosen = self._chosen(jobs)
        if chosen is not None and chosen not in jobs:
            jobs = [*jobs, chosen]
        self.bar.count(jobs)
        shown = [job for job in jobs if self.bar.filter.accepts(job)]
        self.bar.show_search(bool(jobs))
        self.title.note.set_text(_counts_text(jobs))
        self.table.show(shown, chosen.id if chosen is not None else "")
        self.table.table.style(f"height: {_HEADER_PX + _ROW_PX * len(shown)}px")
        self.none.set_visibility(bool(jobs) and not shown)
        self.full.set_visibility(bool(jobs))
        self.empty.set_visibility(not jobs)
        self.view.show(chosen)
        if self.state.jobs_problem is not None:
            self.problem.show(self.state.jobs_problem)

    def _chosen(self, jobs: list[Job]) -> Job | None:
        chosen = self.state.job(self.state.job_id)
        if chosen is not None:
            return chosen
        return next(iter(in_queue_order(jobs)), None)

    def _choose(self, job_id: str) -> None:
        self.state.job_id = job_id
        self._show_jobs()
        background_tasks.create(self.view.refresh())

    async def _refresh(self) -> None:
        if self.state.tab != "jobs":
            return
        # Chosen elsewhere, for example in the status strip, or changed while out of sight.
        if self.is_stale or self.state.job_id not in ("", self.view.job_id):
            self.is_stale = False
            self._show_jobs()
        if self.empty.visible:
            self.idle_charts.show_now(list(self.state.machine))
        else:
            await self.view.refresh()

    async def _run_again(self, job: Job) -> None:
        self.problem.clear()
        try:
            await run_again(self.state, job)
        except AppError as error:
            self.problem.show(error)


def _counts_text(jobs: list[Job]) -> str:
    running = sum(job.state in (JobState.RUNNING, JobState.PAUSED) for job in jobs)
    waiting = sum(job.state is JobState.QUEUED for job in jobs)
    parts = [f"{running} at work" if running else "", f"{waiting} waiting" if waiting else ""]
    return ", ".join(filter(None, parts))
