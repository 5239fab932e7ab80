"""Several jobs side by side: their curves in one chart, then figures, estimates and the settings that differ.

Reads the jobs' folders in a thread, again while one of them is at work. Each job has one colour, in the chart and above
its column.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any

from nicegui import run, ui

from desktop_app import paths
from desktop_app.domain.figure_words import label
from desktop_app.domain.job import Job
from desktop_app.domain.run_comparison import Line, differing_ground, estimates_of, figures_of, settings_of
from desktop_app.domain.run_record import RunRecord
from desktop_app.domain.sentence import list_text
from desktop_app.job_folder import JobFolder

from . import theme
from .job_figures import figure_text, setting_text
from .job_rows import method_text
from .loss_chart import SHORT_NUMBER, VIEWS, chart_lines, legend, log_axis
from .widgets.button import button
from .widgets.hint import hint
from .widgets.page import TitleBar, page_body
from .window_state import WindowState
from .wording import when_text

MOST_RUNS = 8  # one colour each
_INTERVAL_S = 2.0
_SMOOTHING = 0.85
_DASHES = [5, 4]
_SECTION = "t-lead pt-4 pb-1"


class RunComparisonView:
    """The page of a comparison; `show` opens it, `on_close` is called when the user goes back."""

    def __init__(self, state: WindowState, on_close: Callable[[], object]) -> None:
        self._state = state
        self._on_close = on_close
        self._jobs: list[Job] = []
        self._records: dict[str, tuple[RunRecord, int]] = {}
        self._next_s = 0.0
        self._view, self._is_log = VIEWS[0], False
        with ui.column().classes("w-full grow min-h-0 gap-0 no-wrap").mark("comparison") as self._page:
            pass
        self._page.set_visibility(False)

    def show(self, jobs: Sequence[Job]) -> None:
        """Compare these jobs; none closes the page."""
        self._jobs, self._records, self._next_s = list(jobs), {}, 0.0
        self._view, self._is_log = VIEWS[0], False
        self._page.clear()
        self._page.set_visibility(bool(jobs))
        if jobs:
            with self._page:
                self._draw()

    async def refresh(self) -> None:
        """Read what is new in the folders and draw the curves; nothing where all jobs have ended and were read."""
        jobs = self._jobs
        if not jobs or time.monotonic() < self._next_s:
            return
        is_over = all(job.state.is_terminal for job in jobs)
        self._next_s = float("inf") if is_over else time.monotonic() + _INTERVAL_S
        records = await run.io_bound(_read, jobs, self._records)
        if records is not None and jobs is self._jobs:
            self._records = records
            await self._draw_curves()

    def _draw(self) -> None:
        with TitleBar("Compare", f"{len(self._jobs)} runs"):
            button("Back to History", "o_arrow_back", on_click=self._on_close)
        with page_body(is_wide=True):
            ground = differing_ground(self._jobs)
            if ground:
                names = list_text([label(name).lower() for name in ground])
                ui.label(f"These runs differ in {names}: their losses say little about which one is better.").classes(
                    "c-warn"
                )
            self._draw_chart()
            self._draw_table()

    def _draw_chart(self) -> None:
        with ui.column().classes("box w-full gap-1 p-3 no-wrap") as self._box:
            with ui.row().classes("w-full items-center gap-3 no-wrap"):
                titles = {view.main: view.title for view in VIEWS}
                self._choice = ui.select(titles, value=self._view.main, on_change=self._choose)
                self._choice.classes("t-lead shrink-0").props('borderless dense aria-label="Curve"').mark("curve")
                with ui.row().classes("grow min-w-0 items-center gap-x-4 gap-y-1"):
                    for place, job in enumerate(self._jobs):
                        legend(job.name, f"run-{place + 1}", "solid")
                self._beside = ui.label().classes("t-small c-3 whitespace-nowrap")
                ui.toggle(["Linear", "Log"], value="Linear", on_change=self._scale).props('aria-label="Scale"')
            numbers = {"splitNumber": 4, "axisLabel": {**_AXIS_LABEL, ":formatter": SHORT_NUMBER}}
            self._chart = theme.chart([], xAxis={"axisLabel": {**_AXIS_LABEL, "showMaxLabel": False}}, yAxis=numbers)
            self._chart.classes("w-full h-[260px]").props('role=img aria-label="Curves by step"')
        self._box.set_visibility(False)

    async def _choose(self, event: Any) -> None:
        self._view = next(view for view in VIEWS if view.main == event.value)
        await self._draw_curves()

    async def _scale(self, event: Any) -> None:
        self._is_log = event.value == "Log"
        await self._draw_curves()

    async def _draw_curves(self) -> None:
        jobs, view, is_log = self._jobs, self._view, self._is_log
        records = [self._records[job.id][0] for job in jobs if job.id in self._records]
        offered = {each.main: each.title for each in VIEWS if any(record.metrics.get(each.main) for record in records)}
        self._box.set_visibility(bool(offered))
        if not offered or len(records) < len(jobs):
            return
        if view.main not in offered:
            view = self._view = next(each for each in VIEWS if each.main in offered)
        if self._choice.options != offered:
            self._choice.set_options(offered, value=view.main)
        lines = await run.io_bound(_lines_of, records, view, is_log)
        if lines is None or jobs is not self._jobs or (view, is_log) != (self._view, self._is_log):
            return
        series = []
        for place, (job, found) in enumerate(zip(jobs, lines, strict=True)):
            colour = f"run-{place + 1}"
            series.append(theme.line(job.name, found["smooth"], colour))
            if found["beside"]:
                dashed = {"width": 1.75, "type": _DASHES, "color": f"var(--{colour})"}
                name = f"{job.name}, {view.words[1].lower()}"
                series.append(theme.line(name, found["beside"], colour, lineStyle=dashed))
        has_beside = any(found["beside"] for found in lines)
        self._beside.set_text(f"dashed: {view.words[1].lower()}" if has_beside else "")
        options = self._chart.options
        options["series"] = series
        all_lines = {str(place): [*found["smooth"], *found["beside"]] for place, found in enumerate(lines)}
        linear = {"type": "value", "scale": True, "min": None, "max": None}
        options["yAxis"].update(log_axis(all_lines) if is_log else linear)
        self._chart.update()

    def _draw_table(self) -> None:
        width = f"grid-template-columns: 220px repeat({len(self._jobs)}, minmax(128px, 1fr))"
        with ui.element("div").classes("w-full overflow-x-auto"):
            with ui.element("div").classes("grid min-w-full").style(width).mark("compared"):
                self._draw_heads()
                self._section("Figures", figures_of(self._jobs), figure_text)
                self._section("Estimated and measured", estimates_of(self._jobs), figure_text)
            with ui.element("div").classes("grid min-w-full").style(width).mark("settings") as grid:
                pass
        lines = settings_of(self._jobs)

        def draw(is_all: bool) -> None:
            grid.clear()
            shown = [line for line in lines if is_all or line.differs]
            with grid:
                self._section("Settings" if is_all else "Settings that differ", shown, setting_text)
                if not shown:
                    ui.label("None.").classes("c-3 py-1").style("grid-column: 1 / -1")

        draw(False)
        same = sum(not line.differs for line in lines)
        switch = ui.switch(f"Show also the {same} that are the same", on_change=lambda event: draw(bool(event.value)))
        switch.classes("c-2").mark("all-settings")

    def _draw_heads(self) -> None:
        now_s = time.time()
        ui.element("span")
        for place, job in enumerate(self._jobs):
            with ui.column().classes("gap-0 min-w-0 items-end no-wrap pl-4"):
                with ui.row().classes("items-center gap-2 no-wrap max-w-full"):
                    ui.element("span").classes("swatch").style(f"background: var(--run-{place + 1})")
                    hint(ui.label(job.name).classes("font-semibold truncate"), job.id)
                about = f"{method_text(job)}, {job.state.value}, {when_text(job.started or job.created, now_s)}"
                ui.label(about).classes("t-small c-3 truncate max-w-full")

    def _section(self, title: str, lines: list[Line], words: Callable[[str, Any], str]) -> None:
        if not lines and title == "Figures":
            return
        ui.label(title).classes(_SECTION).style("grid-column: 1 / -1").props("role=heading aria-level=2")
        for line in lines:
            ui.label(label(line.name)).classes("c-3 truncate py-1 rule-t")
            for place, value in enumerate(line.values):
                with ui.row().classes("min-w-0 justify-end items-baseline gap-1.5 no-wrap py-1 pl-4 rule-t"):
                    if place in line.best:
                        ui.label("best").classes("t-small c-good")
                    text = "–" if value is None else words(line.name, value)
                    said = ui.label(text).classes("truncate" + (" font-semibold" if place in line.best else ""))
                    said.props["title"] = text if value is None else str(value)


_AXIS_LABEL: dict[str, Any] = dict(theme.AXIS["axisLabel"])  # type: ignore[call-overload]


def _read(jobs: Sequence[Job], known: dict[str, tuple[RunRecord, int]]) -> dict[str, tuple[RunRecord, int]]:
    read: dict[str, tuple[RunRecord, int]] = {}
    for job in jobs:
        record, offset = known.get(job.id, (RunRecord(), 0))
        folder = JobFolder(paths.jobs_dir() / job.id)
        while (page := folder.read_events(offset)).offset != offset:
            record.add(page.events)
            offset = page.offset
        read[job.id] = record, offset
    return read


def _lines_of(records: Sequence[RunRecord], view: Any, is_log: bool) -> list[dict[str, list[tuple[float, float]]]]:
    return [chart_lines(record, view, _SMOOTHING, is_log) for record in records]
