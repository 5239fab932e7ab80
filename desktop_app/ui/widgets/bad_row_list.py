"""The rows that cannot be used: where each stands and why, how many for which reason, and what becomes of them."""

from pathlib import Path

from nicegui import ui

from desktop_app.domain.data_report import BadRow, DataReport

_REASONS = 6


def bad_row_list(report: DataReport) -> None:
    """Draw the first bad rows by file, line and byte offset, each with its reason; nothing if there are none."""
    if not report.bad_rows:
        return
    with ui.column().classes("w-full gap-2 rule-t pt-4").mark("bad-rows"):
        rows = "row" if report.bad_row_count == 1 else "rows"
        ui.label(f"{report.bad_row_count:,} bad {rows}").classes("t-lead")
        ui.label("Left out in training, unless Bad rows in Fine-tune, Advanced says to stop at them.").classes("c-2")
        if report.bad_row_count > len(report.bad_reasons):
            _reasons(report)
        with ui.element("div").classes("w-full grid gap-x-3 gap-y-1 max-h-[156px] overflow-y-auto") as grid:
            grid.style("grid-template-columns: fit-content(40%) auto minmax(0, 1fr)")
            for bad in report.bad_rows:
                ui.label(place_text(bad, len(report.sources) > 1)).classes("c-3 break-words")
                ui.label(f"byte {bad.byte_offset:,}" if bad.line or bad.byte_offset else "").classes(
                    "c-3 whitespace-nowrap text-right"
                )
                ui.label(bad.reason).classes("min-w-0 break-words")
        if report.bad_row_count > len(report.bad_rows):
            ui.label(f"The first {len(report.bad_rows)} are shown.").classes("t-small c-3")


def place_text(row: BadRow, with_file: bool) -> str:
    """Say where a row stands: 'line 7', or 'row 7' where there are no lines; before it the file if asked for."""
    place = f"line {row.line:,}" if row.line else f"row {row.number:,}"
    return f"{Path(row.source).name}, {place}" if with_file and row.source else place


def _reasons(report: DataReport) -> None:
    with ui.column().classes("w-full gap-0.5"):
        for reason, count in report.bad_reasons[:_REASONS]:
            with ui.row().classes("w-full gap-2 no-wrap items-baseline"):
                ui.label(f"{count:,} ×").classes("c-2 whitespace-nowrap")
                ui.label(reason).classes("min-w-0 break-words")
        if len(report.bad_reasons) > _REASONS:
            ui.label("The exported report has all reasons.").classes("t-small c-3")
