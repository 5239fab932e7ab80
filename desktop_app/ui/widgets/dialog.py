"""What all dialogs have in common: they are waited for, and gone once they are answered."""

from typing import Any

from nicegui import ui


async def answer_of(dialog: ui.dialog) -> Any:
    """Wait until a dialog is answered, put it away, and return the answer; None where it was dismissed."""
    answer = await dialog
    put_away(dialog)
    return answer


def put_away(dialog: ui.dialog) -> None:
    """Remove a dialog that was answered; there is nothing to remove if its page was closed meanwhile."""
    if not dialog.is_deleted:
        dialog.delete()
