"""What stands where nothing is yet: what it will be, and the ways on."""

from nicegui import ui


def empty_state(icon: str, title: str, text: str, note: str = "") -> ui.row:
    """Draw the empty state in the middle of what is free; use it as a context to add its buttons.

    `note` says what the first way costs, for example 'about a minute, no internet'.
    """
    with ui.column().classes("m-auto items-center text-center gap-2 py-4"):
        ui.icon(icon).classes("text-[32px] c-3").props("aria-hidden=true")
        ui.label(title).classes("t-lead").props("role=heading aria-level=2")
        ui.label(text).classes("c-2 max-w-[420px]")
        buttons = ui.row().classes("gap-2 pt-2 justify-center")
        if note:
            ui.label(note).classes("t-small c-3 pt-1")
    return buttons
