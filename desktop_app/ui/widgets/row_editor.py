"""Write one row anew, or a new one: its turns with who speaks, in a dialog. Answers the row, keeps nothing."""

from collections.abc import Sequence
from typing import Any

from nicegui import ui

from desktop_app.domain.data_report import DataRow, Role, Turn

from .button import button, icon_button
from .dialog import answer_of

_ROLES = {"system": "System", "user": "User", "assistant": "Assistant", "tool": "Tool"}


async def edit_row(row: DataRow | None, is_text: bool) -> dict[str, Any] | None:
    """Let the user write `row` anew, or a new one if that is None; the whole row as edits carry it, None if not."""
    editor = _Editor(row, is_text)
    answer = await answer_of(editor.dialog)
    return editor.row() if answer else None


class _Editor:
    def __init__(self, row: DataRow | None, is_text: bool) -> None:
        self.is_text = is_text
        self.original = row
        self.is_pair = row is not None and bool(row.rejected)
        if row is None:
            empty: Sequence[Role] = ("text",) if is_text else ("user", "assistant")
            self.turns = [Turn(role=role, text="") for role in empty]
        else:
            self.turns = [*row.turns]
        self.prompt_turns = row.prompt_turns if row else 0
        self.rejected = list(row.rejected) if row else []
        with ui.dialog().props("persistent") as self.dialog, ui.card().classes("!w-[640px] !max-w-full no-wrap gap-3"):
            ui.label("New row" if row is None else "Edit the row").classes("t-lead")
            ui.label("The file itself stays untouched; the edit is kept beside it.").classes("c-2")
            self.body = ui.column().classes("w-full gap-3 max-h-[440px] overflow-y-auto no-wrap pr-1")
            with ui.row().classes("w-full justify-end gap-2 pt-1"):
                button("Cancel", on_click=lambda: self.dialog.submit(False))
                button("Keep", kind="primary", on_click=lambda: self.dialog.submit(True)).mark("keep-row")
        self._draw()
        self.dialog.open()

    def row(self) -> dict[str, Any]:
        """The row in the form that edits carry."""
        if self.is_text:
            return {"text": self.turns[0].text}
        turns = [_plain(turn) for turn in self.turns]
        cut = self.prompt_turns
        if self.is_pair:
            return {"prompt": turns[:cut], "chosen": turns[cut:], "rejected": [_plain(turn) for turn in self.rejected]}
        if self.original is not None and self.original.label is not None:
            return {"prompt": turns[:cut], "completion": turns[cut:], "label": self.original.label}
        return {"messages": turns}

    def _draw(self) -> None:
        self.body.clear()
        with self.body:
            for at in range(len(self.turns)):
                if self.is_pair and at == self.prompt_turns:
                    ui.label("Chosen answer").classes("t-small c-3")
                self._draw_turn(self.turns, at)
            if self.is_pair:
                ui.label("Rejected answer").classes("t-small c-3")
                for at in range(len(self.rejected)):
                    self._draw_turn(self.rejected, at)
            elif not self.is_text and (self.original is None or self.original.label is None):
                button("Add a turn", "o_add", kind="quiet", on_click=self._add).classes("-ml-3")

    def _draw_turn(self, turns: list[Turn], at: int) -> None:
        turn = turns[at]

        def set_text(text: str) -> None:
            turns[at] = turns[at].model_copy(update={"text": text})

        def set_role(role: Role) -> None:
            turns[at] = turns[at].model_copy(update={"role": role})

        def remove() -> None:
            del turns[at]
            self._draw()

        with ui.row().classes("w-full gap-2 no-wrap items-start"):
            if not self.is_text:
                role = ui.select(_ROLES, value=turn.role, on_change=lambda event: set_role(event.value))
                role.classes("w-[112px] shrink-0").props('aria-label="Who speaks"')
            text = ui.textarea(value=turn.text, on_change=lambda event: set_text(event.value or ""))
            text.classes("grow").props(f'outlined dense autogrow aria-label="Text of turn {at + 1}"').mark(f"turn-{at}")
            if not self.is_text and not self.is_pair and len(turns) > 1:
                icon_button("o_close", f"Remove turn {at + 1}", remove)

    def _add(self) -> None:
        last = self.turns[-1].role if self.turns else "assistant"
        self.turns.append(Turn(role="assistant" if last == "user" else "user", text=""))
        self._draw()


def _plain(turn: Turn) -> dict[str, Any]:
    import json

    plain: dict[str, Any] = {"role": turn.role, "content": turn.text}
    if turn.calls:
        plain["tool_calls"] = json.loads(turn.calls)
    return plain
