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

    def show(self, value: str, note: str = "", is_bad: bool = False) -> None:
        """Show another value; `is_bad`: the note asks for something to be done."""
        self._value.text = value
        self._note.text = note
        self._note.classes(add="c-warn" if is_bad else "c-3", remove="c-3" if is_bad else "c-warn")


def figure_row() -> ui.row:
    """Return a row whose figures keep the same distance and wrap as a whole."""
    return ui.row().classes("w-full gap-x-6 gap-y-2")
