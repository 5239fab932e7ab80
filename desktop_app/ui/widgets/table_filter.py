"""The parts by which a table is narrowed down: its search field, and chips that are on or off."""

from collections.abc import Callable

from nicegui import ui


def search_field(what: str, on_change: Callable[[str], object]) -> ui.input:
    """Draw a search field; `what` says what it searches, for screen readers, `on_change` gets its text."""
    field = ui.input(placeholder="Search", on_change=lambda event: on_change(event.value or ""))
    field.classes("w-[200px] shrink-0 max-[999px]:w-[150px]").props("clearable debounce=150")
    field.props["aria-label"] = f"Search {what}"
    with field.add_slot("prepend"):
        ui.icon("o_search").props("aria-hidden=true")
    return field


def filter_chip(is_on: bool, toggle: Callable[[bool], object]) -> ui.chip:
    """Draw a chip that narrows a table down; use it as a context to add its text."""
    return ui.chip(
        color=None, selectable=True, selected=is_on, on_selection_change=lambda event: toggle(bool(event.value))
    )


def chip_rule() -> None:
    """Draw the line between groups of chips."""
    ui.element("span").classes("rule-l h-4 mx-1")
