"""Data: which file to learn from, how its rows are read, which are bad, and the first ones as conversations.

Knows no file format: reports come from `KnownData`. The chosen file is the one that fine-tuning works on.
"""

from pathlib import Path

from nicegui import run, ui

from desktop_app.domain.data_report import DataReport
from desktop_app.errors import AppError
from desktop_app.hardware.opener import reveal
from desktop_app.paths import demo_data
from desktop_app.ui.known_data import DATA_SUFFIXES, Reading
from desktop_app.ui.widgets.banner import error_banner
from desktop_app.ui.widgets.button import button, icon_button
from desktop_app.ui.widgets.conversation import bad_row_list, conversations
from desktop_app.ui.widgets.empty_state import empty_state
from desktop_app.ui.widgets.figure import Figure, figure_row
from desktop_app.ui.widgets.hint import hint
from desktop_app.ui.widgets.mapping_editor import MappingEditor
from desktop_app.ui.widgets.page import TEXT_WIDTH, TitleBar, action_bar
from desktop_app.ui.widgets.path_picker import pick_file
from desktop_app.ui.window_state import WindowState
from desktop_app.ui.wording import size_text

_FOLLOW_S = 0.3


def draw(state: WindowState) -> None:
    """Draw the tab into the current page."""
    _DataTab(state)


class _DataTab:
    def __init__(self, state: WindowState) -> None:
        self.state = state
        self.files = state.files
        self._shown: object = None
        self._recent: object = None
        with TitleBar("Data"):
            self.choose = button("Choose a file", on_click=self._pick)
        with ui.column().classes("w-full grow min-h-0 overflow-y-auto p-4 no-wrap items-center") as self.empty:
            self._draw_empty()
        with ui.row().classes("w-full grow min-h-0 gap-0 no-wrap items-stretch") as self.filled:
            with ui.column().classes("grow min-w-0 h-full overflow-y-auto p-4 no-wrap"):
                self.body = ui.column().classes(f"w-full gap-4 no-wrap {TEXT_WIDTH}")
            self.recent = ui.column().classes(
                "w-[280px] shrink-0 rule-l well h-full overflow-y-auto gap-1 p-3 no-wrap max-[999px]:w-[216px]"
            )
        with action_bar() as self.actions:
            self.use = button("Fine-tune on this file", "o_tune", "primary", self._use).mark("use-data")
            self.use_note = ui.label().classes("c-2 truncate")
        if not state.data and self.files.paths:
            state.choose_data(self.files.paths[0])
        self.files.changed.subscribe(self._show)
        ui.timer(_FOLLOW_S, lambda: self._show(is_late=True))
        self._show()

    def _draw_empty(self) -> None:
        with empty_state(
            "o_table_rows",
            "No data yet",
            "Choose a file with examples to learn from: JSONL, JSON, CSV, Parquet or plain text. "
            "It stays where it is and is only read.",
        ):
            button("Choose a file", "o_folder_open", "primary", self._pick).mark("first-file")
            button("Use the demo's data", on_click=lambda: self._take(str(demo_data())))

    def _show(self, is_late: bool = False) -> None:
        """Show the chosen file as it is known now; draws only what has changed, and no busy state for a moment."""
        state, files = self.state, self.files
        file = state.data
        report, is_busy = files.reports.get(file), file in files.being_read
        wanted = (file, report, is_busy, files.reading(file), tuple(files.paths))
        if wanted == self._shown or (is_busy and report is None and not is_late):
            return
        self._shown = wanted
        is_empty = not file and not files.paths
        for part in (self.filled, self.actions, self.choose):
            part.set_visibility(not is_empty)
        self.empty.set_visibility(is_empty)
        files.need(file)
        recent = (tuple(files.paths), file)
        if recent != self._recent:
            self._recent = recent
            self._show_recent()
        self.body.clear()
        with self.body:
            if not file:
                ui.label("Choose one of the recent files, or another one.").classes("c-2")
            else:
                self._draw_file(file, report, is_busy)
        problem = "" if report is None else report.problem
        self.use.set_enabled(report is not None and not problem)
        self.use_note.set_text("Its problem has to be solved first." if problem else "")

    def _draw_file(self, file: str, report: DataReport | None, is_busy: bool) -> None:
        with ui.row().classes("w-full items-center gap-2 no-wrap"):
            with ui.column().classes("gap-0 min-w-0 grow"):
                ui.label(Path(file).name).classes("t-lead truncate w-full")
                hint(ui.label(file).classes("t-small c-3 truncate w-full"), file)
            icon_button("o_folder_open", "Show the file in its folder", lambda: self._reveal(file))
            icon_button("o_refresh", "Read the file again", lambda: self.files.read(file))
        if is_busy:
            self._draw_busy(report)
        if report is not None:
            self._draw_report(file, report)

    def _draw_busy(self, report: DataReport | None) -> None:
        with ui.row().classes("w-full items-center gap-3 no-wrap").props("role=status"):
            text = "Reading the file …" if report is None else "Reading on to count all rows …"
            ui.label(text).classes("c-2 whitespace-nowrap").mark("data-busy")
            ui.linear_progress(show_value=False, size="4px").props('indeterminate aria-label="Reading the file"')
            button("Cancel" if report is None else "Stop", kind="quiet", on_click=self.files.stop).mark("stop-reading")
        if report is not None:
            return
        for width in ("62%", "88%", "71%", "45%"):
            with ui.row().classes("w-full h-[34px] items-center rule-b"):
                ui.skeleton("rect", width=width, height="12px", animation="fade")

    def _draw_report(self, file: str, report: DataReport) -> None:
        if report.problem:
            error_banner(report.problem, report.hint, {"Choose another file": self._pick})
        else:
            with figure_row():
                Figure("Rows", f"{report.rows:,}", _more(report))
                Figure("Bad rows", f"{report.bad_row_count:,}", "left out" if report.bad_row_count else "")
                Figure("Format", report.format.upper() if report.format != "text" else "Text", report.encoding)
                Figure("Size", size_text(report.size_bytes))
        if report.columns or not report.problem:
            MappingEditor(report, self.files.reading(file), lambda reading: self._read_as(file, reading))
        if report.bad_rows:
            bad_row_list(report)
        if report.previews:
            conversations(report)

    def _show_recent(self) -> None:
        self.recent.clear()
        with self.recent:
            ui.label("Recent files").classes("t-lead px-1 pb-1")
            for file in self.files.paths:
                with ui.row().classes("w-full gap-1 items-center no-wrap"):
                    chosen = "bg-[var(--accent-soft)]" if file == self.state.data else ""
                    name = button(
                        Path(file).name, kind="quiet", on_click=lambda file=file: self.state.choose_data(file)
                    )
                    hint(name.classes(f"grow min-w-0 !px-2 {chosen}").props("align=left"), file)
                    forget = icon_button("o_close", f"Forget {Path(file).name}; the file stays")
                    forget.on_click(lambda file=file: self._forget(file)).mark(f"forget-{Path(file).name}")

    def _use(self) -> None:
        self.state.tab = "finetune"

    def _take(self, file: str) -> None:
        self.files.add(file)
        self.state.choose_data(file)
        self._show()

    def _forget(self, file: str) -> None:
        if file == self.state.data:
            self.state.choose_data("")
        self.files.remove(file)

    async def _read_as(self, file: str, reading: Reading) -> None:
        await self.files.read(file, reading)

    async def _pick(self) -> None:
        start = str(Path(self.state.data or next(iter(self.files.paths), "")).parent)
        picked = await pick_file("Choose a data file", DATA_SUFFIXES, "" if start == "." else start)
        if picked:
            self._take(picked)

    async def _reveal(self, file: str) -> None:
        try:
            await run.io_bound(reveal, Path(file))
        except AppError as error:
            ui.notify(error.message)


def _more(report: DataReport) -> str:
    if report.complete:
        return ""
    expected = report.extra.get("estimated_rows")
    return f"of about {expected:,}" if isinstance(expected, int) else "and more"
