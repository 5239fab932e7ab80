"""All rows of the data, page by page, as conversations: bad and left-out ones too; edit, leave out, add, see tokens.

Asks the service for each page, in a thread. The file is never written: edits are kept beside it.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from nicegui import run, ui

from desktop_app.domain.data_choice import TokenChoice
from desktop_app.domain.data_report import DataReport, DataRow, RowPage, TokenView
from desktop_app.errors import AppError
from desktop_app.ui.known_data import KnownData

from .banner import BannerPlace
from .button import button, icon_button
from .conversation import conversation
from .row_editor import edit_row
from .row_tokens import show_tokens

_PER_PAGE = 20
_STATES = {"changed": "Changed by you", "added": "Added by you", "left_out": "Left out by you"}


class RowBrowser:
    """The rows of one file; `tokens` says how they become tokens now, None while no model is chosen."""

    def __init__(
        self, files: KnownData, file: str, report: DataReport, tokens: Callable[[], TokenChoice | None]
    ) -> None:
        self.files = files
        self.file = file
        self.report = report
        self.tokens = tokens
        self.start = 0
        self.problem = BannerPlace()
        with ui.row().classes("w-full items-center gap-1 no-wrap"):
            self.place = ui.label().classes("c-2").mark("row-place")
            ui.space()
            button("Add a row", "o_add", kind="quiet", on_click=self._add).mark("add-row")
            self.go_to = ui.number(placeholder="Row", min=1, precision=0).classes("w-[92px]").mark("go-to-row")
            self.go_to.props('dense aria-label="Go to row"').on("keydown.enter", self._go_to)
            self.back = icon_button("o_chevron_left", "Earlier rows", lambda: self.show(self.start - _PER_PAGE))
            self.on = icon_button("o_chevron_right", "Later rows", lambda: self.show(self.start + _PER_PAGE))
            self.on.mark("later-rows")
        self.list = ui.column().classes("w-full gap-3")

    async def show(self, start: int = 0) -> None:
        """Show the page that begins at row `start`, counted from 0."""
        data = self.files.choice(self.file).model_dump(mode="json")
        try:
            answer = await run.io_bound(self.files.ask, "data_rows", data=data, start=max(0, start), count=_PER_PAGE)
        except AppError as error:
            self.problem.show(error)
            return
        if answer is None:  # the program ends
            return
        page = RowPage.model_validate(answer)
        self.problem.clear()
        self.start = page.start
        self.back.set_enabled(page.start > 0)
        self.on.set_enabled(not page.is_last)
        last = page.start + len(page.rows)
        self.place.set_text(f"Rows {page.start + 1:,} to {last:,}" if page.rows else "No more rows")
        self.list.clear()
        with self.list:
            for at, row in enumerate(page.rows, page.start):
                self._draw_row(at, row)

    def _draw_row(self, at: int, row: DataRow) -> None:
        faded = " opacity-60" if row.state == "left_out" else ""
        with ui.column().classes("box w-full gap-2 p-3 no-wrap"):
            with ui.row().classes("w-full items-center gap-2 no-wrap"):
                line = f" · line {row.line:,}" if row.line else ""
                file = f" · {Path(row.source).name}" if len(self.report.sources) > 1 and row.source else ""
                ui.label(f"Row {at + 1:,}{line}{file}").classes("t-small c-3 whitespace-nowrap")
                if row.state:
                    ui.label(_STATES[row.state]).classes("t-small c-accent whitespace-nowrap")
                ui.space()
                self._draw_actions(at, row)
            if row.problem:
                ui.label(row.problem).classes("c-bad break-words")
            with ui.column().classes(f"w-full gap-2{faded}"):
                conversation(row.turns)
                if row.rejected:
                    ui.label("Rejected").classes("t-small c-bad")
                    conversation(row.rejected)
                if row.label is not None:
                    ui.label("Marked as good" if row.label else "Marked as bad").classes("t-small c-2")

    def _draw_actions(self, at: int, row: DataRow) -> None:
        place = {"source": row.source, "number": row.number}
        if row.turns and row.state != "left_out":
            icon_button("o_token", "Show its tokens", lambda: self._show_tokens(at)).mark(f"tokens-{at}")
        if row.turns and row.state != "added":
            icon_button("o_edit", "Edit", lambda: self._edit(row)).mark(f"edit-{at}")
        if row.state:
            undo = "Take the row away again" if row.state == "added" else "Undo your edit"
            icon_button("o_undo", undo, lambda: self._keep({"action": "restore", **place})).mark(f"restore-{at}")
        elif not row.problem:
            icon_button(
                "o_visibility_off", "Leave this row out", lambda: self._keep({"action": "leave_out", **place})
            ).mark(f"leave-out-{at}")

    async def _edit(self, row: DataRow) -> None:
        with self.list.parent_slot.parent:  # the row is drawn anew meanwhile
            written = await edit_row(row, _is_text(row))
            if written is not None:
                edit = {"action": "change", "source": row.source, "number": row.number, "row": written}
                await self._keep(edit)

    async def _add(self) -> None:
        written = await edit_row(None, self.report.layout == "text")
        if written is not None:
            await self._keep({"action": "add", "row": written})

    async def _keep(self, edit: dict[str, Any]) -> None:
        try:
            await self.files.change(self.file, "edit_rows", edits=[edit])
        except AppError as error:
            self.problem.show(error)

    async def _go_to(self) -> None:
        if self.go_to.value:
            await self.show(int(self.go_to.value) - 1)

    async def _show_tokens(self, at: int) -> None:
        tokens = self.tokens()
        if tokens is None:
            ui.notify("Choose a model first.", caption="Tokens are those of the model that is to be fine-tuned.")
            return
        data = self.files.choice(self.file).model_dump(mode="json")
        try:
            answer = await run.io_bound(
                self.files.ask, "token_view", data=data, tokens=tokens.model_dump(mode="json"), index=at
            )
        except AppError as error:
            self.problem.show(error)
            return
        if answer is not None:
            await show_tokens(f"Row {at + 1:,} as the model reads it", TokenView.model_validate(answer))


def _is_text(row: DataRow) -> bool:
    return bool(row.turns) and row.turns[0].role == "text"
