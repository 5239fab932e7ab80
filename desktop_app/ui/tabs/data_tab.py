"""Data: which file to learn from, what a look at it found, and its rows, to read and to edit.

Knows no file format: reports come from `KnownData`. The chosen file is the one that fine-tuning works on.
"""

from collections.abc import Callable
from pathlib import Path

from nicegui import background_tasks, run, ui
from nicegui.events import ValueChangeEventArguments

from desktop_app.domain.data_choice import TokenChoice
from desktop_app.domain.data_report import DataReport, FindingCode
from desktop_app.domain.finetune_spec import FinetuneSpec
from desktop_app.errors import AppError
from desktop_app.hardware.opener import reveal
from desktop_app.paths import demo_data, free_name
from desktop_app.ui.known_data import DATA_SUFFIXES, Reading
from desktop_app.ui.widgets.bad_row_list import bad_row_list
from desktop_app.ui.widgets.banner import error_banner
from desktop_app.ui.widgets.button import button, icon_button
from desktop_app.ui.widgets.data_findings import data_findings
from desktop_app.ui.widgets.data_sources import data_sources
from desktop_app.ui.widgets.empty_state import empty_state
from desktop_app.ui.widgets.figure import Figure, figure_row
from desktop_app.ui.widgets.hint import hint
from desktop_app.ui.widgets.mapping_editor import MappingEditor
from desktop_app.ui.widgets.page import TEXT_WIDTH, TitleBar, action_bar
from desktop_app.ui.widgets.path_picker import pick_file, pick_folder
from desktop_app.ui.widgets.question import ask
from desktop_app.ui.widgets.row_browser import RowBrowser
from desktop_app.ui.widgets.token_statistics import count_offer, token_statistics
from desktop_app.ui.window_state import WindowState
from desktop_app.ui.wording import size_text

_FOLLOW_S = 0.3
_COUNT_AT_ONCE_BYTES = 20_000_000


def draw(state: WindowState) -> None:
    """Draw the tab into the current page."""
    _DataTab(state)


class _DataTab:
    def __init__(self, state: WindowState) -> None:
        self.state = state
        self.files = state.files
        self._shown: object = None
        self._recent: object = None
        self._view = "report"
        self._counted: tuple[DataReport, TokenChoice] | None = None  # counted last without being asked
        self._now: TokenChoice | None = None  # how rows become tokens now; None while no model is chosen
        self._rows: RowBrowser | None = None
        self._bar: ui.linear_progress | None = None
        self.root = ui.context.slot.parent
        with TitleBar("Data"), ui.row().classes("gap-2 no-wrap") as self.choose:
            button("Choose a folder", kind="quiet", on_click=self._pick_folder).mark("choose-folder")
            button("Choose a file", on_click=self._pick)
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
            "Choose a file with examples to learn from: JSONL, JSON, CSV, Parquet or plain text, "
            "or a folder of such files. It stays where it is and is only read.",
        ):
            button("Choose a file", "o_folder_open", "primary", self._pick).mark("first-file")
            button("Choose a folder", on_click=self._pick_folder)
            button("Use the demo's data", on_click=lambda: self._take(str(demo_data())))

    def _show(self, is_late: bool = False) -> None:
        """Show the chosen file as it is known now; draws only what has changed, and no busy state for a moment."""
        state, files = self.state, self.files
        file = state.data
        report, is_busy = files.reports.get(file), file in files.being_read
        if state.tab == "data" or state.model != (self._now.model if self._now else ""):
            self._now = self._tokens()  # not while the form is typed into: each letter would count anew
        counted, is_counting = files.counted.get(file), files.being_counted == file
        parts = (report, is_busy, files.reading(file), files.more(file), counted, is_counting, self._now)
        wanted = (file, *parts, tuple(files.paths), self._view)
        if self._bar is not None and (is_busy or is_counting):
            self._bar.set_value(files.reached.done / files.reached.total if files.reached.total else 0)
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
        self._bar = None
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
            add = icon_button("o_add", "Read another file together with it", lambda: self._add(file))
            add.mark("add-file")
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
            self._draw_bar("Reading the file")
            button("Cancel" if report is None else "Stop", kind="quiet", on_click=self.files.stop).mark("stop-reading")
        if report is not None:
            return
        for width in ("62%", "88%", "71%", "45%"):
            with ui.row().classes("w-full h-[34px] items-center rule-b"):
                ui.skeleton("rect", width=width, height="12px", animation="fade")

    def _draw_bar(self, name: str) -> None:
        self._bar = ui.linear_progress(0, show_value=False, size="4px").props(f'aria-label="{name}"')

    def _draw_report(self, file: str, report: DataReport) -> None:
        if report.problem:
            error_banner(report.problem, report.hint, self._ways_on(file, report))
            if report.columns:
                self._draw_mapping(file, report)
            return
        with figure_row():
            Figure("Rows", f"{report.rows:,}", _more(report))
            Figure("Bad rows", f"{report.bad_row_count:,}", "left out" if report.bad_row_count else "")
            if edits := report.changed + report.added + report.left_out:
                Figure("Your edits", f"{edits:,}", _edits(report))
            Figure("Format", report.format.upper() if report.format != "text" else "Text", report.encoding)
            Figure("Size", size_text(report.size_bytes))
        with ui.row().classes("w-full items-center gap-2 no-wrap"):
            view = ui.toggle({"report": "Report", "rows": "Rows"}, value=self._view, on_change=self._choose_view)
            view.props('aria-label="What to show"').mark("data-view")
            ui.space()
            self._draw_export(file, report)
        if self._view == "rows":
            start = self._rows.start if self._rows is not None and self._rows.file == file else 0
            self._rows = RowBrowser(self.files, file, report, self._tokens)
            background_tasks.create(self._rows.show(start), name=f"rows of {file}")
            return
        more = self.files.more(file)
        data_sources(
            report, more, lambda path: self.files.read_with(file, tuple(each for each in more if each != path))
        )
        self._draw_mapping(file, report)
        found = self._told(file, report).findings
        data_findings(found, lambda code: self._fix(file, code), has_files=len(report.sources) > 1)
        self._draw_tokens(file, report)
        bad_row_list(report)

    def _draw_mapping(self, file: str, report: DataReport) -> None:
        MappingEditor(report, self.files.reading(file), lambda reading: self._read_as(file, reading))

    def _draw_tokens(self, file: str, report: DataReport) -> None:
        """Count by itself where that takes a moment, else offer it; what was counted for other settings is old."""
        tokens, counted = self._now, self.files.counted.get(file)
        with ui.column().classes("w-full gap-3 rule-t pt-4").mark("token-statistics"):
            model = "" if tokens is None else f" of {Path(tokens.model).name}"
            ui.label(f"In tokens{model}").classes("t-lead break-words")
            if self.files.being_counted == file:
                with ui.row().classes("w-full items-center gap-3 no-wrap").props("role=status"):
                    ui.label("Counting tokens …").classes("c-2 whitespace-nowrap")
                    self._draw_bar("Counting tokens")
                    button("Stop", kind="quiet", on_click=self.files.stop)
            elif tokens is None:
                count_offer(
                    "Choose a model to see how long the rows are for it, and what is cut.",
                    "Choose a model",
                    self._choose_model,
                )
            elif counted is not None and isinstance(counted[1], AppError):
                error_banner(counted[1].message, counted[1].hint, {"Count again": lambda: self._count(file)})
            elif (found := self._told(file, report).statistics) is not None:
                token_statistics(found)
            else:
                count_offer(
                    f"Not counted yet for {Path(tokens.model).name}.", "Count tokens", lambda: self._count(file)
                )
                if report.complete and report.size_bytes <= _COUNT_AT_ONCE_BYTES:
                    self._count_once(file, report, tokens)

    def _draw_export(self, file: str, report: DataReport) -> None:
        with button("Export", kind="quiet").props("icon-right=o_expand_more"), ui.menu():
            rows = ui.menu_item("Rows as they will be trained (JSONL)", lambda: self._export(file, None))
            rows.mark("export-rows")
            whole = self._told(file, report)
            for suffix, name in ((".md", "Markdown"), (".csv", "CSV"), (".json", "JSON")):
                told = ui.menu_item(f"This report ({name})", lambda suffix=suffix: self._export(file, whole, suffix))
                told.mark(f"export-report{suffix}")

    def _ways_on(self, file: str, report: DataReport) -> dict[str, Callable[..., object]]:
        ways: dict[str, Callable[..., object]] = {"Choose another file": self._pick}
        if self.files.more(file):
            ways["Read it alone"] = lambda: self.files.read_with(file, ())
        if self.files.choice(file).overlay:
            ways["Discard the edits"] = lambda: self._discard_edits(file)
        return ways

    def _choose_view(self, event: ValueChangeEventArguments) -> None:
        self._view = event.value
        self._show()

    def _tokens(self) -> TokenChoice | None:
        """How rows become tokens by what stands in the fine-tuning form; None until a model and data are chosen."""
        if not (self.state.model and self.state.data):
            return None
        draft = self.state.finetune_form.draft() or FinetuneSpec(model=self.state.model, data=self.state.data)
        return TokenChoice.of(draft).model_copy(update={"model": self.state.model})

    def _told(self, file: str, report: DataReport) -> DataReport:
        """The report with what was counted in tokens, if that was counted for what stands in the form now."""
        tokens, counted = self.files.counted.get(file, (None, None))
        return counted if isinstance(counted, DataReport) and tokens == self._now else report

    async def _count(self, file: str) -> None:
        if self._now is not None:
            await self.files.count_tokens(file, self._now)

    def _count_once(self, file: str, report: DataReport, tokens: TokenChoice) -> None:
        if self._counted is None or self._counted[0] is not report or self._counted[1] != tokens:
            self._counted = (report, tokens)
            background_tasks.create(self.files.count_tokens(file, tokens), name=f"count tokens of {file}")

    def _choose_model(self) -> None:
        self.state.tab = "models"

    async def _fix(self, file: str, code: FindingCode) -> None:
        with self.root:
            try:
                await self.files.change(file, "apply_fix", code=code)
                ui.notify("Mended, by edits beside the file.", caption="Rows shows them, and can take them back.")
            except AppError as error:
                ui.notify(error.message, caption=error.hint)

    async def _discard_edits(self, file: str) -> None:
        with self.root:
            text = "All your edits of this file's rows are deleted. The file itself stays as it is."
            if await ask("Discard the edits?", text, ["Discard", "Keep"], safe="Keep") == "Discard":
                await run.io_bound(Path(self.files.choice(file).overlay).unlink, missing_ok=True)
                await self.files.read(file)

    async def _export(self, file: str, report: DataReport | None, suffix: str = ".jsonl") -> None:
        with self.root:
            folder = await pick_folder("Export into", str(Path(file).parent))
            if folder is None:
                return
            what = "report" if report is not None else "cleaned"
            target = await run.io_bound(free_name, Path(folder) / f"{Path(file).stem}-{what}{suffix}")
            try:
                if report is not None:
                    plain = report.model_dump(mode="json")
                    await run.io_bound(self.files.call, "export_report", report=plain, target=str(target))
                else:
                    data = self.files.choice(file).model_dump(mode="json")
                    await run.io_bound(self.files.call, "export_rows", data=data, target=str(target))
                ui.notify(f"Written to {target}.")
            except AppError as error:
                ui.notify(error.message, caption=error.hint)

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

    async def _add(self, file: str) -> None:
        picked = await pick_file("Choose a file to read together with it", DATA_SUFFIXES, str(Path(file).parent))
        if picked:
            self.files.read_with(file, (*self.files.more(file), picked))

    async def _pick_folder(self) -> None:
        picked = await pick_folder("Choose a folder with data files", str(Path(self.state.data).parent))
        if picked:
            self._take(picked)

    async def _reveal(self, file: str) -> None:
        try:
            await run.io_bound(reveal, Path(file))
        except AppError as error:
            ui.notify(error.message)


def _edits(report: DataReport) -> str:
    counts = ((report.changed, "changed"), (report.added, "added"), (report.left_out, "left out"))
    return ", ".join(f"{count:,} {what}" for count, what in counts if count)


def _more(report: DataReport) -> str:
    if report.complete:
        return ""
    expected = report.extra.get("estimated_rows")
    return f"of about {expected:,}" if isinstance(expected, int) else "and more"
