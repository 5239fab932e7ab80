"""What all dialogs have in common: a card with a name, waited for, and gone once it is answered."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from nicegui import ui

from desktop_app.ui.window_state import WindowState


@contextmanager
def card_dialog(title: str, classes: str) -> Iterator[ui.dialog]:
    """Make a dialog whose card is filled in the `with` block; `title` is what is read aloud for it."""
    with ui.dialog() as dialog, ui.card().classes(f"gap-3 {classes}") as card:
        card.props["aria-label"] = title
        yield dialog


async def answer_of(dialog: ui.dialog) -> Any:
    """Wait until a dialog is answered, put it away, and return the answer; None where it was dismissed."""
    answer = await dialog
    put_away(dialog)
    return answer


async def show_job_of(dialog: ui.dialog, state: WindowState) -> None:
    """Wait until a dialog is answered, and show the job that it handed in, if it did."""
    job_id = await answer_of(dialog)
    if job_id:
        state.open_job(job_id)


def put_away(dialog: ui.dialog) -> None:
    """Remove a dialog that was answered; there is nothing to remove if its page was closed meanwhile."""
    if not dialog.is_deleted:
        dialog.delete()
