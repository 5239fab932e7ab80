"""The files that are read as one, each with what it holds; those that the user added can be taken away again."""

from collections.abc import Callable, Sequence
from pathlib import Path

from nicegui import ui

from desktop_app.domain.data_report import DataReport, SourceCount

from .button import icon_button
from .hint import hint


def data_sources(report: DataReport, added: Sequence[str], on_remove: Callable[[str], object]) -> None:
    """Draw the files; `added` are files and folders, of which a folder stands for several files of the report."""
    if len(report.sources) < 2 and not added:
        return
    removable = set(added)
    with ui.column().classes("w-full gap-0 rule-t pt-4 max-h-[200px] overflow-y-auto no-wrap").mark("sources"):
        for source in report.sources:
            with _line(source.path):
                _count(source)
                if source.path in removable:
                    _remove(source.path, on_remove)
        for folder in sorted(removable - {source.path for source in report.sources}):
            with _line(folder):
                ui.label("added folder").classes("c-3 whitespace-nowrap")
                _remove(folder, on_remove)


def _line(path: str) -> ui.row:
    with ui.row().classes("w-full gap-3 no-wrap items-center min-h-[28px]") as line:
        hint(ui.label(Path(path).name).classes("grow truncate"), path)
    return line


def _count(source: SourceCount) -> None:
    if source.problem:
        ui.label(source.problem).classes("c-bad truncate")
        return
    bad = f", {source.bad_rows:,} bad" if source.bad_rows else ""
    ui.label(f"{source.rows:,} rows{bad}").classes("c-3 whitespace-nowrap")


def _remove(path: str, on_remove: Callable[[str], object]) -> None:
    name = Path(path).name
    icon_button("o_close", f"Read without {name}; it stays on the disk", lambda: on_remove(path)).mark(
        f"without-{name}"
    )
