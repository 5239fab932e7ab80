"""The exact tokens of one row in a dialog: each in its place, with its id, and what becomes of it."""

import html
from collections.abc import Sequence

from nicegui import ui

from desktop_app.domain.data_report import ShownToken, TokenView

from .button import button
from .dialog import answer_of
from .token_pane import lesson, visible

_KINDS = (
    ("c-3", "only read"),
    ("template", "written by the chat template"),
    ("cut", "cut off by the max length"),
)


async def show_tokens(title: str, view: TokenView) -> None:
    """Show the tokens until the dialog is closed."""
    with ui.dialog() as dialog, ui.card().classes("!w-[760px] !max-w-full no-wrap gap-3"):
        ui.label(title).classes("t-lead")
        text = f"{view.count:,} tokens, {view.trained:,} trained"
        ui.label(text + (f", {view.cut:,} cut off" if view.cut else "")).classes("c-2")
        with ui.column().classes("w-full max-h-[420px] overflow-y-auto box p-3 gap-3 no-wrap"):
            _tokens(view.tokens, "tokens-of-row")
            if view.rejected:
                ui.label("The other answer, which is rejected").classes("t-small c-3")
                _tokens(view.rejected, "tokens-of-rejected")
        if view.note:
            ui.label(view.note).classes("t-small c-2")
        with ui.row().classes("w-full gap-4 t-small c-2"):
            for kind, meaning in (("trained", lesson(view.is_liked)), *_KINDS):
                with ui.row().classes("gap-1.5 items-center no-wrap"):
                    ui.label("text").classes(f"tok {kind} px-1")
                    ui.label(meaning)
        with ui.row().classes("w-full justify-end"):
            button("Close", kind="primary", on_click=dialog.close)
    await answer_of(dialog)


def _tokens(tokens: Sequence[ShownToken], marker: str) -> None:
    drawn = ui.html("".join(map(_token, tokens)), sanitize=True).mark(marker)
    drawn.classes("t-mono whitespace-pre-wrap break-words leading-6 w-full")


def _token(token: ShownToken) -> str:
    """One span; the text is the user's and therefore escaped."""
    kinds = [("trained", token.is_trained), ("template", token.is_template), ("cut", token.is_cut)]
    names = " ".join(name for name, holds in kinds if holds)
    colour = "" if token.is_trained else " c-3"
    return f'<span class="tok {names}{colour}" title="{token.id}">{html.escape(visible(token.text))}</span>'
