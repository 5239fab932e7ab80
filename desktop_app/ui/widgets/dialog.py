"""What all dialogs have in common."""

from nicegui import ui


def put_away(dialog: ui.dialog) -> None:
    """Remove a dialog that was answered; there is nothing to remove if its page was closed meanwhile."""
    if not dialog.is_deleted:
        dialog.delete()
