"""The three parts of a tab, from top to bottom: title bar, body that scrolls, action bar that stays.

A tab's `draw` calls them one after the other; the window gives it a column without gaps to draw into.
"""

from nicegui import ui

TEXT_WIDTH = "max-w-[760px]"  # forms and prose; tables and charts take the whole width


class TitleBar:
    """The bar at the top, 48 px; a context to add actions at its right end. `title` and `note` can be changed."""

    def __init__(self, title: str, note: str = "") -> None:
        with ui.row().classes("w-full items-center gap-3 px-4 h-12 shrink-0 rule-b no-wrap") as self.row:
            self.title = (
                ui.label(title).classes("t-title truncate shrink-0 max-w-[60%]").props("role=heading aria-level=1")
            )
            self.note = ui.label(note).classes("c-3 truncate min-w-0 flex-1")

    def __enter__(self) -> "TitleBar":
        self.row.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.row.__exit__(*_)


def page_body(is_wide: bool = False) -> ui.column:
    """Return the column that scrolls; as wide as text is read well, or all there is if `is_wide`."""
    with ui.column().classes("w-full grow min-h-0 overflow-y-auto p-4 no-wrap gap-0"):
        width = "" if is_wide else TEXT_WIDTH
        return ui.column().classes(f"w-full grow gap-4 no-wrap shrink-0 {width}")


def action_bar() -> ui.row:
    """Return the bar at the bottom, 56 px, which holds the primary button and does not scroll away."""
    return ui.row().classes("w-full items-center gap-3 px-4 h-14 shrink-0 rule-t no-wrap")
