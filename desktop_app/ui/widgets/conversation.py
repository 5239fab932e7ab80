"""A row of the data as a conversation with its roles, and the rows that cannot be used."""

from collections.abc import Sequence

from nicegui import ui

from desktop_app.domain.data_report import DataReport, Turn

_ROLES = {"system": "System", "user": "User", "assistant": "Assistant", "tool": "Tool", "text": "Text"}


def bad_row_list(report: DataReport) -> None:
    """Draw the first bad rows by line number, each with its reason."""
    with ui.column().classes("w-full gap-1 rule-t pt-4").mark("bad-rows"):
        rows = "row" if report.bad_row_count == 1 else "rows"
        ui.label(f"{report.bad_row_count:,} bad {rows}").classes("t-lead")
        with ui.column().classes("w-full gap-0 max-h-[156px] overflow-y-auto no-wrap"):
            for bad in report.bad_rows:
                with ui.row().classes("w-full gap-3 no-wrap items-baseline"):
                    place = f"line {bad.line:,}" if bad.line else f"byte {bad.byte_offset:,}"
                    ui.label(place).classes("w-[72px] shrink-0 c-3")
                    ui.label(bad.reason).classes("min-w-0 break-words")
        if report.bad_row_count > len(report.bad_rows):
            ui.label(f"The first {len(report.bad_rows)} are shown.").classes("t-small c-3")


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
