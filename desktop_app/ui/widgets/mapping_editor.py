"""How a data file is read: the layout that was found and why, another one, and which column holds what."""

from collections.abc import Awaitable, Callable

from nicegui import ui

from desktop_app.domain.data_report import DataReport
from desktop_app.training_data.layout import named_layout
from desktop_app.ui.known_data import Reading
from desktop_app.ui.summary import LAYOUTS, layout_text

_PARTS = {
    "prompt": "Question",
    "completion": "Answer",
    "chosen": "Better answer",
    "rejected": "Worse answer",
    "messages": "Conversation",
    "label": "Good or bad",
    "system": "System prompt",
    "text": "Plain text",
}


class MappingEditor:
    """Reads the file anew as soon as a choice is complete, such as question and answer."""

    def __init__(self, report: DataReport, reading: Reading, on_change: Callable[[Reading], Awaitable[None]]) -> None:
        self.report = report
        self.on_change = on_change
        found = "" if report.problem else f": {layout_text(report.layout)}"
        options = {"auto": f"Find out{found}", **{name: text.capitalize() for name, text in LAYOUTS.items()}}
        options |= {"messages": "OpenAI messages", "sharegpt": "ShareGPT", "columns": "Columns that I choose"}
        if not report.columns:
            options.pop("columns")
        # Nothing was found out: then the way on is to choose the columns.
        chosen = "columns" if report.problem and report.columns and reading.layout == "auto" else reading.layout
        with ui.column().classes("w-full gap-3 rule-t pt-4"):
            with ui.row().classes("w-full gap-3 items-center no-wrap"):
                ui.label("Read as").classes("c-2 font-medium whitespace-nowrap")
                self.layout = ui.select(options, value=chosen if chosen in options else "auto")
                self.layout.classes("w-[260px]").props('aria-label="Layout"').mark("layout")
                self.layout.on_value_change(self._choose_layout)
            if report.evidence:
                ui.label(report.evidence).classes("t-small c-3").mark("evidence")
            if report.columns and not report.problem:
                ui.label(f"Columns: {', '.join(report.columns)}").classes("t-small c-3 break-words -mt-2")
            self.columns = ui.element("div").classes("grid w-full grid-cols-2 gap-3")
            with self.columns:
                self.selects = {part: self._column_choice(part, reading) for part in _PARTS}
            self.note = ui.label(
                "Choose the columns of question and answer, of a better and a worse answer, or one with conversations "
                "or plain text."
            ).classes("t-small c-2")
        self._show_columns()

    def _column_choice(self, part: str, reading: Reading) -> ui.select:
        known = reading.columns or (self.report.mapping if self.report.layout == "columns" else {})
        column = known.get(part)
        options = {"": "–", **{name: name for name in self.report.columns}}
        with ui.column().classes("gap-1 w-full"):
            ui.label(_PARTS[part]).classes("t-small c-2 font-medium")
            select = ui.select(options, value=column if column in options else "").classes("w-full")
        select.props["aria-label"] = f"Column of the {_PARTS[part].lower()}"
        select.mark(f"column-{part}")
        select.on_value_change(self._choose_column)
        return select

    def _show_columns(self) -> None:
        is_mapped = self.layout.value == "columns"
        self.columns.set_visibility(is_mapped)
        missing = is_mapped and not _is_complete(self._chosen())
        self.note.set_visibility(missing)

    async def _choose_layout(self) -> None:
        self._show_columns()
        if self.layout.value != "columns":
            await self.on_change(Reading(layout=self.layout.value))
        else:
            await self._choose_column()

    async def _choose_column(self) -> None:
        chosen = self._chosen()
        self._show_columns()
        if _is_complete(chosen):
            await self.on_change(Reading(layout="columns", columns=chosen))

    def _chosen(self) -> dict[str, str]:
        return {part: str(select.value) for part, select in self.selects.items() if select.value}


def _is_complete(chosen: dict[str, str]) -> bool:
    return set(chosen) == {"text"} if "text" in chosen else bool(named_layout(set(chosen)))
