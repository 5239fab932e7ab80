"""A question that must be answered before something goes on: buttons with verbs, the safe answer first and focused."""

from collections.abc import Sequence

from nicegui import ui

from .button import button
from .dialog import answer_of


async def ask(title: str, text: str, answers: Sequence[str], safe: str, dismissed: str = "") -> str:
    """Show the question and wait; return the chosen one of `answers`, which are verbs.

    `safe` loses nothing: it is the primary button at the right, and has the focus. Escape or a click beside the
    question answers `dismissed`, or `safe` if that is not given.
    """
    with ui.dialog() as dialog, ui.card().classes("question") as card:
        title_label = ui.label(title).classes("t-lead break-words")
        text_label = ui.label(text).classes("c-2 break-words whitespace-pre-line")
        card.props["role"] = "alertdialog"
        card.props["aria-labelledby"] = title_label.html_id
        card.props["aria-describedby"] = text_label.html_id
        with ui.row().classes("w-full justify-end gap-2 pt-2 no-wrap max-[600px]:flex-wrap"):
            for answer in answers:
                if answer != safe:
                    button(answer, on_click=lambda answer=answer: dialog.submit(answer))
            button(safe, kind="primary", on_click=lambda: dialog.submit(safe)).props("autofocus")
    answer = await answer_of(dialog)
    return answer if answer in answers else dismissed or safe
