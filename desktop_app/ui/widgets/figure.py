"""A number that people look at: its name small and grey above, the value bold, its unit small behind."""

from nicegui import ui


class Figure:
    """One named number; `show` changes it in place."""

    def __init__(self, name: str, value: str = "–", note: str = "") -> None:
        with ui.column().classes("gap-0 min-w-0") as self.column:
            ui.label(name).classes("t-small c-3 whitespace-nowrap")
            with ui.row().classes("items-baseline gap-1.5 no-wrap"):
                self._value = ui.label(value).classes("t-lead whitespace-nowrap")
                self._note = ui.label(note).classes("t-small c-3 whitespace-nowrap")

    def show(self, value: str, note: str = "") -> None:
        """Show another value."""
        self._value.text = value
        self._note.text = note


def figure_row() -> ui.row:
    """Return a row whose figures keep the same distance and wrap as a whole."""
    return ui.row().classes("w-full gap-x-6 gap-y-2")
