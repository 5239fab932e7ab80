"""The frame of the window: side navigation, the page of the chosen tab, the status strip.

Draws; decides nothing. A tab's page is built when it is first shown, so that the first paint is quick.
"""

import asyncio
import logging
import time
from collections.abc import Sequence

from nicegui import ui

from desktop_app.domain.job import Job

from . import theme
from .first_picture import show_first_picture
from .job_ending import ending
from .status_strip import draw_status_strip
from .tab_list import TABS, Tab
from .widgets.banner import error_banner
from .window_state import WindowState

_DARK = {"system": None, "light": False, "dark": True}
# Runs in the page: one listener for the whole window, which also works while a field has the focus. No key but
# Ctrl (or Command) with a digit is told to anyone, and while a question is open it has to be answered first.
_DIGIT_KEYS = """<script>
document.addEventListener('keydown', (event) => {
  if ((event.ctrlKey || event.metaKey) && !event.altKey && !event.shiftKey && /^[0-9]$/.test(event.key)
      && !document.querySelector('.q-dialog')) {
    event.preventDefault();
    emitEvent('tab_digit', Number(event.key) || 10);
  }
});
</script>"""

# A page never learns where a dropped file lies; the window's own process does, where there is one. Left alone, a
# browser would show the file in place of this page.
_DROPS = """<script>
for (const kind of ['dragover', 'drop']) document.addEventListener(kind, (event) => {
  if (!event.dataTransfer?.types.includes('Files')) return;
  event.preventDefault();
  if (kind === 'dragover') return;
  window.chrome?.webview?.postMessageWithAdditionalObjects?.('FilesDropped', event.dataTransfer.files);
  emitEvent('files_dropped');
});
</script>"""
# Quasar gives the focus back where a dialog was opened only if it may fade away; ours are removed once answered.
_FOCUS_AFTER_DIALOGS = """<script>
(() => {
  let last = null;
  const isAsked = () => document.querySelector('.q-dialog') !== null;
  document.addEventListener('focusin', (event) => { if (!isAsked()) last = event.target; });
  new MutationObserver(() => {
    if (document.activeElement === document.body && last?.isConnected && !isAsked()) last.focus();
  }).observe(document.body, { childList: true });
})();
</script>"""
_DIGITS = 10  # 0 is the tenth
_DROP_PATIENCE_S = 1.5
_TABS_FOR_DROPS = ("models", "data")


def draw_window(state: WindowState, tabs: Sequence[Tab] = TABS) -> None:
    """Draw the whole window with `tabs` into the current page."""
    dark = theme.apply(_DARK[state.settings.theme])
    show_first_picture(state.settings.theme)
    state.settings_changed.subscribe(lambda: dark.set_value(_DARK[state.settings.theme]))
    ui.add_body_html(_DIGIT_KEYS)
    ui.add_body_html(_DROPS)
    ui.add_body_html(_FOCUS_AFTER_DIALOGS)
    _watch_drops(state)
    ui.on("tab_digit", lambda event: _choose_by_digit(state, tabs, event.args))
    with ui.element("div").classes("frame"):
        navigation = _draw_navigation(state, tabs)
        with ui.element("main").classes("min-w-0 min-h-0 overflow-hidden"):
            _Pages(state, tabs, navigation)
        draw_status_strip(state)
    state.job_ended.subscribe(lambda job: _tell_ending(job))


def _watch_drops(state: WindowState) -> None:
    """Say so where something is dropped and nobody tells its path, as in a browser."""
    told: list[float] = []
    state.dropped.subscribe(lambda paths: told.append(time.monotonic()))

    async def look() -> None:
        since = time.monotonic() - _DROP_PATIENCE_S
        await asyncio.sleep(_DROP_PATIENCE_S)
        if not told or told[-1] < since:
            ui.notify(
                "The path of what you dropped is not known here.", caption="Use Bring in, and choose or paste it."
            )
        elif state.tab not in _TABS_FOR_DROPS:
            ui.notify("Models are dropped onto the tab Models.")

    ui.on("files_dropped", look)


def _draw_navigation(state: WindowState, tabs: Sequence[Tab]) -> ui.tabs:
    """Vertical Quasar tabs: arrow keys, roles and focus come with them."""
    with ui.element("nav").classes("nav").props("aria-label=Main"):
        with ui.row().classes("wordmark items-center gap-2 px-2 pb-1 no-wrap"):
            ui.element("span").classes("mark")
            ui.label("Whetstone").classes("t-lead")
        with ui.tabs().props("vertical inline-label no-caps").bind_value(state, "tab") as navigation:
            for number, tab in enumerate(tabs, 1):
                with ui.tab(tab.key, label=tab.title, icon=tab.icon):
                    keys = f"Ctrl {number % 10}" if number <= _DIGITS else ""
                    ui.label(keys).classes("hint").props("aria-hidden=true")
    return navigation


class _Pages:
    """The pages of the tabs, each built when it is first shown."""

    def __init__(self, state: WindowState, tabs: Sequence[Tab], navigation: ui.tabs) -> None:
        self.state = state
        self.missing: dict[str, tuple[Tab, ui.tab_panel]] = {}
        with ui.tab_panels(navigation, value=state.tab, animated=False, keep_alive=True) as panels:
            for tab in tabs:
                self.missing[tab.key] = (tab, ui.tab_panel(tab.key))
        panels.on_value_change(lambda event: self._build(event.value))
        self._build(state.tab)

    def _build(self, key: str) -> None:
        if key not in self.missing:
            return
        tab, panel = self.missing.pop(key)
        with panel, ui.column().classes("w-full h-full gap-0 no-wrap"):
            try:
                tab.draw(self.state)
            except Exception:  # a bug in one tab must not take the others away
                logging.getLogger(__name__).exception("The tab %s cannot be drawn", tab.key)
                with ui.column().classes("p-4 w-full"):
                    error_banner(
                        f"{tab.title} cannot be shown because of a bug in Whetstone.",
                        "The other tabs still work. The log file of the window says more.",
                    )


def _choose_by_digit(state: WindowState, tabs: Sequence[Tab], digit: int) -> None:
    if 1 <= digit <= len(tabs):
        state.tab = tabs[digit - 1].key


def _tell_ending(job: Job) -> None:
    """Say in passing that a job has ended, for who looks at another tab."""
    title, text = ending(job)
    ui.notify(title, caption=text, timeout=6000, progress=False)
