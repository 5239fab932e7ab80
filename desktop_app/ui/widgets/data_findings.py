"""What a look at the data found that the user should know, each with the rows that show it and a safe fix."""

from collections.abc import Awaitable, Callable, Sequence

from nicegui import ui

from desktop_app.domain.data_report import Finding, FindingCode

from .bad_row_list import place_text
from .button import button

LOOKS = {
    "problem": ("o_error_outline", "c-bad", "Problem"),
    "warning": ("o_warning_amber", "c-warn", "Warning"),
    "note": ("o_info", "c-3", "Note"),
}
_ORDER = list(LOOKS)


def data_findings(
    findings: Sequence[Finding], on_fix: Callable[[FindingCode], Awaitable[None]], has_files: bool = False
) -> None:
    """Draw the findings, the gravest first, nothing without any; `has_files`: rows are of several files, so name it."""
    if not findings:
        return
    with ui.column().classes("w-full gap-2 rule-t pt-4").mark("findings"):
        ui.label("Worth a look").classes("t-lead")
        for finding in sorted(findings, key=lambda each: _ORDER.index(each.severity)):
            _finding(finding, on_fix, has_files)


def _finding(finding: Finding, on_fix: Callable[[FindingCode], Awaitable[None]], has_files: bool) -> None:
    icon, colour, name = LOOKS[finding.severity]
    with ui.row().classes("w-full gap-2.5 no-wrap items-start"):
        ui.icon(icon).classes(f"{colour} text-[18px] mt-px").props(f'role=img aria-label="{name}"')
        with ui.column().classes("gap-0.5 min-w-0 grow"):
            ui.label(finding.message).classes("break-words")
            if finding.examples:
                ui.label(_places(finding, has_files)).classes("t-small c-3 break-words")
        if finding.fix is not None:
            fix = button(finding.fix.label, on_click=lambda: on_fix(finding.code))
            fix.classes("shrink-0").mark(f"fix-{finding.code}")


def _places(finding: Finding, has_files: bool) -> str:
    """Name the first rows; a file once, before its rows."""
    shown = finding.examples[:5]
    files = [place.source for place in shown]
    is_new = [has_files and file not in files[:at] for at, file in enumerate(files)]
    more = ", …" if finding.count > len(shown) else ""
    return ", ".join(map(place_text, shown, is_new)) + more
