"""The first examples of a data file as conversations with their roles, and the rows that cannot be used."""

from nicegui import ui

from desktop_app.domain.data_report import DataReport, Preview

_SHOWN_AT_FIRST = 5
_ROLES = {"system": "System", "user": "User", "assistant": "Assistant", "tool": "Tool", "text": "Text"}


def conversations(report: DataReport) -> None:
    """Draw the first examples; more of them on demand."""
    with ui.column().classes("w-full gap-3 rule-t pt-4"):
        ui.label("First rows").classes("t-lead")
        for preview in report.previews[:_SHOWN_AT_FIRST]:
            _conversation(preview)
        more = report.previews[_SHOWN_AT_FIRST:]
        if more:
            with (
                ui.expansion(f"{len(more)} more").classes("w-full").props("dense"),
                ui.column().classes("w-full gap-3"),
            ):
                for preview in more:
                    _conversation(preview)


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


def _conversation(preview: Preview) -> None:
    with ui.element("div").classes("box w-full grid gap-x-3 gap-y-2 p-3") as box:
        box.style("grid-template-columns: 72px minmax(0, 1fr)")
        for turn in preview.turns:
            colour = "c-accent font-medium" if turn.role == "assistant" else "c-3"
            ui.label(_ROLES[turn.role]).classes(f"t-small text-right pt-0.5 {colour}")
            ui.label(turn.text).classes("whitespace-pre-wrap break-words max-h-[240px] overflow-y-auto")
