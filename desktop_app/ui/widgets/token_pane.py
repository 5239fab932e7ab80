"""What it reads: the very tokens of one row, the trained ones underlined, so that colour is not needed.

Knows how tokens are drawn, not where they come from.
"""

import html
from collections.abc import Sequence

from nicegui import ui

from desktop_app.domain.data_report import TokenView

from .button import icon_button


class TokenPane:
    """The pane beside the form; `row` counts from 1 within the usable rows."""

    def __init__(self) -> None:
        self.row = 1
        self._rows = 0
        pane = ui.column().classes(
            "w-[300px] shrink-0 h-full overflow-y-auto rule-l well p-4 gap-3 no-wrap max-[999px]:w-[232px]"
        )
        with pane.props('role=complementary aria-label="What it reads"'):
            with ui.row().classes("w-full items-center no-wrap gap-1"):
                ui.label("What it reads").classes("t-lead")
                ui.space()
                self._back = icon_button("o_chevron_left", "Previous row", lambda: self._go(-1))
                self._on = icon_button("o_chevron_right", "Next row", lambda: self._go(1)).mark("next-row")
            self._note = ui.label().classes("t-small c-3").mark("token-note")
            self._body = ui.column().classes("w-full gap-3")
        self.show_nothing("Choose a model and data to see exactly what the model will read.")

    def show_nothing(self, sentence: str) -> None:
        """Say why there is nothing to see."""
        self._body.clear()
        self._rows = 0
        self._note.set_text(sentence)
        self._enable()

    def show_busy(self) -> None:
        """Say that the row is being read; what was shown before fades."""
        self._note.set_text("Reading the row …")
        self._body.classes("opacity-50")

    def show_problem(self, message: str, hint: str) -> None:
        """Say why the row cannot be shown, and what to do."""
        self._body.clear()
        self._body.classes(remove="opacity-50")
        self._note.set_text("")
        with self._body, ui.column().classes("w-full gap-1").props("role=alert"):
            ui.label(message).classes("c-bad")
            ui.label(hint).classes("c-2")

    def show(self, tokens: Sequence[tuple[str, bool]], rows: int, view: TokenView) -> None:
        """Draw tokens as (text, is trained), those of `view` that fit into the length."""
        cut, note = view.cut, view.note
        self._rows = rows
        self._body.clear()
        self._body.classes(remove="opacity-50")
        trained = sum(is_trained for _, is_trained in tokens)
        self._note.set_text(f"Row {self.row:,} of {rows:,} · {len(tokens):,} tokens, {trained:,} trained")
        with self._body:
            shown = ui.html(token_html(tokens), sanitize=True).mark("tokens")
            shown.classes("t-mono whitespace-pre-wrap break-words leading-6 w-full")
            if cut:
                ui.label(f"{cut:,} more tokens are cut off by the max length.").classes("t-small c-warn")
            if note:
                ui.label(note).classes("t-small c-2")
            with ui.row().classes("items-center gap-1.5 t-small c-3 no-wrap"):
                ui.label("text").classes("tok trained px-1")
                ui.label(lesson(view.is_liked))
        self._enable()

    def _go(self, by: int) -> None:
        self.row = min(max(1, self.row + by), max(1, self._rows))
        self._enable()

    def _enable(self) -> None:
        for arrow in (self._back, self._on):
            arrow.set_visibility(self._rows > 0)
        self._back.set_enabled(self.row > 1)
        self._on.set_enabled(self.row < self._rows)


def lesson(is_liked: bool) -> str:
    """Say what the model learns from the tokens that are marked."""
    return "the model learns to write this" if is_liked else "not liked: the model learns to avoid this"


def token_html(tokens: Sequence[tuple[str, bool]]) -> str:
    """Draw tokens as spans; their text is the user's and therefore escaped. One element, since rows have thousands."""
    return "".join(
        f'<span class="tok {"trained" if is_trained else "c-3"}">{html.escape(visible(text))}</span>'
        for text, is_trained in tokens
    )


def visible(text: str) -> str:
    """Show what cannot be seen: line ends, tabs, control characters."""
    shown = text.replace("\r", "␍").replace("\n", "⏎\n").replace("\t", "⇥\t")
    return "".join(character if character.isprintable() or character in "\n\t" else "·" for character in shown)
