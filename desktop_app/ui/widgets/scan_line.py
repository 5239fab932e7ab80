"""One line that tells how a search for models goes, with Stop, and how it ended."""

from nicegui import ui

from desktop_app.ui.model_scan import ModelScan

from .button import button, icon_button

_LOOK_S = 0.3


class ScanLine:
    """Takes no room while there is nothing to tell."""

    def __init__(self, scan: ModelScan) -> None:
        self.scan = scan
        with ui.column().classes("w-full gap-1 px-4 py-2 rule-b").props("role=status") as self._place:
            with ui.row().classes("w-full items-center gap-3 no-wrap"):
                self._text = ui.label().classes("whitespace-nowrap").mark("scan-text")
                self._where = ui.label().classes("t-small c-3 truncate min-w-0 grow")
                self._stop = button("Stop", kind="quiet", on_click=scan.stop)
                self._close = icon_button("o_close", "Dismiss", scan.dismiss)
            self._bar = ui.linear_progress(0, show_value=False, size="4px").props('aria-label="Search for models"')
        scan.changed.subscribe(self._show)
        ui.timer(_LOOK_S, lambda: self._show() if scan.is_running else None)
        self._show()

    def _show(self) -> None:
        scan = self.scan
        self._place.set_visibility((scan.is_running and not scan.is_quiet) or scan.is_finished)
        models = f"{scan.found:,} {'model' if scan.found == 1 else 'models'}"
        searching = f"Searching: {scan.looked_in:,} folders so far" if not scan.total else f"Reading: {models} so far"
        self._text.set_text(searching if scan.is_running else f"{models} found")
        self._where.set_text(scan.place if scan.is_running else scan.problem)
        self._bar.set_visibility(scan.is_running)
        self._bar.value = scan.done / scan.total if scan.total else 0
        self._stop.set_visibility(scan.is_running)
        self._close.set_visibility(not scan.is_running)
