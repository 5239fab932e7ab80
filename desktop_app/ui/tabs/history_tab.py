"""History: every job there ever was, from the index; the chosen one opens in a pane at the right.

The table gets its first rows only and asks for more while it scrolls; filter and order are worked out here.
"""

from nicegui import run, ui

from desktop_app.domain.job import Job
from desktop_app.errors import AppError
from desktop_app.jobs import submit
from desktop_app.ui.job_detail import JobDetail
from desktop_app.ui.job_filter_bar import JobFilterBar
from desktop_app.ui.job_table import Column, JobTable
from desktop_app.ui.run_comparison_view import MOST_RUNS, RunComparisonView
from desktop_app.ui.sparklines import Sparklines
from desktop_app.ui.widgets.banner import BannerPlace
from desktop_app.ui.widgets.bundle_dialog import open_bundle
from desktop_app.ui.widgets.button import button
from desktop_app.ui.widgets.empty_state import empty_state
from desktop_app.ui.widgets.hint import hint
from desktop_app.ui.widgets.page import TitleBar, action_bar
from desktop_app.ui.window_state import WindowState

_REFRESH_S = 0.5
_COLUMNS = [
    Column(field="name", title="Job"),
    Column(field="model", title="Model", classes="c-2 max-[999px]:hidden"),
    Column(field="method", title="Method", width="w-[76px]", classes="c-2 max-[999px]:hidden"),
    Column(field="curve", title="Loss", width="w-[104px]", is_sortable=False),
    Column(field="loss", title="Final", width="w-[60px]", is_right=True),
    Column(field="time", title="Time", width="w-[84px]", is_right=True, classes="c-2"),
    Column(field="when", title="When", width="w-[104px]", is_right=True, classes="c-2"),
]


def draw(state: WindowState) -> None:
    """Draw the tab into the current place."""
    HistoryTab(state)


class HistoryTab:
    """One page's view of the history. `state.job_id` is the job in the pane."""

    def __init__(self, state: WindowState) -> None:
        self.state = state
        self.curves = Sparklines()
        self.is_comparing = False
        self.is_stale = False
        self.bar = JobFilterBar(self._show_jobs)
        with TitleBar("History") as title:
            self.bar.draw_search("the history")
            hint(button("Open a bundle", on_click=lambda: open_bundle(state)), "Take in a job from another computer")
        self.title = title
        self.problem = BannerPlace()
        with ui.column().classes("w-full grow min-h-0 gap-0 no-wrap") as self.full:
            self.bar.draw_chips("w-full px-4 min-h-10 py-2 shrink-0")
            with ui.row().classes("w-full grow min-h-0 gap-0 no-wrap items-stretch rule-t"):
                with ui.column().classes("grow min-w-0 h-full gap-0 no-wrap"):
                    self.table = JobTable(
                        _COLUMNS, self._choose, "w-full grow min-h-0", self.curves.fill, on_check=self._show_ticked
                    )
                    self._draw_none()
                    self._draw_ticked()
                self.detail = JobDetail(state, self._close)
        self.comparison = RunComparisonView(state, self._stop_comparing)
        with ui.column().classes("w-full grow min-h-0") as self.empty:
            self._draw_empty()
        self._show_jobs()
        state.jobs_changed.subscribe(self._jobs_changed)
        ui.timer(_REFRESH_S, self._refresh)

    def _draw_none(self) -> None:
        with ui.column().classes("w-full items-center gap-2 p-6") as self.none:
            ui.label("No job fits the filter.").classes("c-2")
            button("Show all", on_click=self.bar.clear)

    def _draw_ticked(self) -> None:
        with action_bar() as self.actions:
            self.ticked = ui.label().classes("c-2 whitespace-nowrap")
            ui.space()
            button("Untick", kind="quiet", on_click=self._untick)
            self.archiving = button("Archive", on_click=self._archive).mark("archive-ticked")
            self.compare = button("Compare", "o_stacked_line_chart", "primary", self._compare).mark("compare")
        self.actions.set_visibility(False)

    def _show_ticked(self) -> None:
        """Say what can be done with the ticked rows."""
        count = len(self.table.checked)
        self.actions.set_visibility(bool(count))
        can_compare = 2 <= count <= MOST_RUNS
        asked = "" if can_compare else f"; tick 2 to {MOST_RUNS} to compare them"
        self.ticked.set_text(f"{count:,} ticked{asked}")
        self.compare.set_enabled(can_compare)
        self.archiving.set_text("Bring back" if self.bar.filter.is_archived else "Archive")

    def _ticked_jobs(self) -> list[Job]:
        return [job for job in map(self.state.job, self.table.checked) if job is not None]

    def _untick(self) -> None:
        self.table.uncheck()
        self._show_ticked()

    async def _archive(self) -> None:
        try:
            await run.io_bound(submit.archive, self._ticked_jobs(), not self.bar.filter.is_archived)
        except AppError as error:
            self.problem.show(error)
        self._untick()
        await self.state.look_at_jobs()

    async def _compare(self) -> None:
        self.is_comparing = True
        self.comparison.show(self._ticked_jobs())
        self._show_jobs()
        await self.comparison.refresh()

    def _stop_comparing(self) -> None:
        self.is_comparing = False
        self.comparison.show([])
        self._show_jobs()

    def _draw_empty(self) -> None:
        with empty_state(
            "o_history",
            "No jobs yet",
            "Every fine-tuning and quantization is kept here with its settings, log and result until you delete it.",
        ):
            button("Fine-tune a model", "o_tune", "primary", lambda: setattr(self.state, "tab", "finetune"))
            button("Quantize a model", on_click=lambda: setattr(self.state, "tab", "quantize"))

    def _jobs_changed(self) -> None:
        """Draw what has changed, but nothing that is out of sight: each change costs the page some milliseconds."""
        self.is_stale = self.state.tab != "history"
        if not self.is_stale:
            self._show_jobs()

    def _show_jobs(self) -> None:
        jobs = self.state.jobs
        self.bar.count(jobs)
        shown = [job for job in jobs if self.bar.filter.accepts(job)]
        count = f"{len(jobs):,} {'job' if len(jobs) == 1 else 'jobs'}"
        self.title.note.set_text("" if not jobs else count if len(shown) == len(jobs) else f"{len(shown):,} of {count}")
        self.bar.show_search(bool(jobs))
        chosen = self._chosen()
        self.table.show(shown, *((chosen.id, "model") if chosen is not None else ("", "")))
        self.table.table.set_visibility(bool(shown))
        self.none.set_visibility(bool(jobs) and not shown)
        self.title.row.set_visibility(not self.is_comparing)
        self.full.set_visibility(bool(jobs) and not self.is_comparing)
        for gone in [job_id for job_id in self.table.checked if self.state.job(job_id) is None]:
            del self.table.checked[gone]
        self._show_ticked()
        self.empty.set_visibility(not jobs and not self.is_comparing)
        self.detail.show(chosen)
        if self.state.jobs_problem is not None:
            self.problem.show(self.state.jobs_problem)

    def _chosen(self) -> Job | None:
        return self.state.job(self.state.job_id) if self.state.job_id else None

    def _choose(self, job_id: str) -> None:
        self.state.job_id = job_id
        self._show_jobs()

    def _close(self) -> None:
        self.state.job_id = ""
        self._show_jobs()

    async def _refresh(self) -> None:
        if self.state.tab != "history":
            return
        if self.is_stale or self.state.job_id != self.detail.job_id:  # or chosen elsewhere
            self.is_stale = False
            self._show_jobs()
        if self.is_comparing:
            await self.comparison.refresh()
            return
        if await run.io_bound(self.curves.read_missing):
            self.table.draw()
        await self.detail.refresh()
