"""A row of the data as a conversation with its roles."""

from collections.abc import Sequence

from nicegui import ui

from desktop_app.domain.data_report import Turn

_ROLES = {"system": "System", "user": "User", "assistant": "Assistant", "tool": "Tool", "text": "Text"}


def conversation(turns: Sequence[Turn]) -> None:
    """Draw turns with their roles."""
    if not turns:
        return
    with ui.element("div").classes("w-full grid gap-x-3 gap-y-2") as grid:
        grid.style("grid-template-columns: 72px minmax(0, 1fr)")
        for turn in turns:
            colour = "c-accent font-medium" if turn.role == "assistant" else "c-3"
            ui.label(_ROLES[turn.role]).classes(f"t-small text-right pt-0.5 {colour}")
            with ui.column().classes("gap-1 min-w-0"):
                if turn.text or not turn.calls:
                    ui.label(turn.text).classes("whitespace-pre-wrap break-words max-h-[240px] overflow-y-auto")
                if turn.calls:
                    ui.label(f"calls {turn.calls}").classes("t-mono t-small c-2 break-all")
