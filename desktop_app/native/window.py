"""Open NiceGUI's native window, remember its place, and notice when it never appears.

Runs in the server's process; `hook` is its counterpart in the window's. Surprising choice: NiceGUI ends the
whole program, with exit code 0, when the window's process ends; until the window was seen once, that end is
taken over here, because then nobody has been told anything.
"""

import importlib.util
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from desktop_app.settings import Settings

from .hook import WindowHook

MIN_SIZE = (760, 560)
SHOWN_WITHIN_S = 30.0
_REMEMBER_AFTER_S = 0.5


def missing_for_window() -> str:
    """Say in words why no window can be opened here; '' if one can be tried."""
    if importlib.util.find_spec("webview") is None:
        return "pywebview is not installed."
    if sys.platform == "linux":
        if not os.environ.get("DISPLAY") and not os.environ.get("WAYLAND_DISPLAY"):
            return "There is no display (DISPLAY and WAYLAND_DISPLAY are not set)."
        if importlib.util.find_spec("PySide6") is None:
            return "Qt for Python (PySide6) is not installed."
    return ""


def set_up_window(*, url: str, hook: WindowHook, settings: Settings, background: str, icon: Path | None) -> None:
    """Fill `app.native` for the next `ui.run(native=True)`: place, look, and no way out of the page."""
    from nicegui import app

    place = settings.window_place
    app.native.window_args.update(
        url=url,
        min_size=MIN_SIZE,
        text_select=True,
        zoomable=True,
        background_color=background,
        maximized=settings.window_maximized,
        **({"x": place[0], "y": place[1]} if place else {}),
    )
    app.native.start_args.update(hook=hook, private_mode=True, debug=False)
    if sys.platform == "linux":
        app.native.start_args["gui"] = "qt"
    if icon is not None:
        app.native.start_args["icon"] = str(icon)
    app.native.settings.update(ALLOW_DOWNLOADS=False, ALLOW_FILE_URLS=False, OPEN_DEVTOOLS_IN_DEBUG=False)


def remember_place(settings: Settings) -> None:
    """Write size and place of the window into `settings` whenever it came to rest."""
    place = _Place(settings)
    from nicegui import app

    app.native.on("resized", place.resized)
    app.native.on("moved", place.moved)
    app.native.on("maximized", lambda: place.maximized(True))
    app.native.on("restored", lambda: place.maximized(False))
    app.native.on("closed", place.remember)


def watch_window(told: Callable[[str], None], shown_within_s: float = SHOWN_WITHIN_S) -> None:
    """Call `told` with the reason, once, if the window is not seen in time or its process ends before.

    Until then the server stays; after the window was seen once, its end is the program's end as usual.
    """
    from nicegui import app, core

    shown, gave_up = threading.Event(), threading.Lock()

    def give_up(reason: str) -> None:
        if gave_up.acquire(blocking=False):
            told(reason)

    def wait() -> None:
        if not shown.wait(shown_within_s):
            give_up(f"The window did not appear within {shown_within_s:.0f} seconds.")

    plain_stop = core.stop_and_exit

    def stop_and_exit() -> None:
        if shown.is_set():
            plain_stop()
        give_up("The window could not be opened; its process ended at once.")

    core.stop_and_exit = stop_and_exit
    app.native.on("shown", shown.set)
    app.on_startup(lambda: threading.Thread(target=wait, daemon=True).start())


def close_window() -> None:
    """Close the native window; the program ends with it."""
    from nicegui import app

    if app.native.main_window is not None:
        app.native.main_window.destroy()


def come_forward() -> None:
    """Bring the native window in front of others; what does it is attached to the window by the hook."""
    from nicegui.native import native

    if native.method_queue is not None:
        native.method_queue.put(("come_forward", (), {}))


class _Place:
    """Remembers size and place half a second after the window came to rest."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._size: tuple[int, int] | None = None
        self._place: tuple[int, int] | None = None
        self._timer: Any = None

    def resized(self, event: Any) -> None:
        self._size = (int(event.args["width"]), int(event.args["height"]))
        self._later()

    def moved(self, event: Any) -> None:
        self._place = (int(event.args["x"]), int(event.args["y"]))
        self._later()

    def maximized(self, is_maximized: bool) -> None:
        self._settings.window_maximized = is_maximized
        self._later()

    def _later(self) -> None:
        from nicegui import core

        if self._timer is not None:
            self._timer.cancel()
        if core.loop is not None:
            self._timer = core.loop.call_later(_REMEMBER_AFTER_S, self.remember)

    def remember(self) -> None:
        size, place, self._size, self._place = self._size, self._place, None, None
        if self._settings.window_maximized:
            return  # the size to come back to is the one from before
        try:
            if size is not None:
                self._settings.window_size = size
            if place is not None:
                self._settings.window_place = place
        except ValueError:
            pass  # off every screen, or smaller than a window can be: not worth remembering
