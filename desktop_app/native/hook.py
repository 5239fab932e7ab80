"""What runs inside the window's own process: no orphan, no silent failure, and a question before it closes.

NiceGUI starts that process and knows none of this. Surprising choice: the hook travels there pickled among
pywebview's start arguments, and unpickling it is what arms it, before any window or Qt exists.
"""

import contextlib
import faulthandler
import http.client
import json
import logging
import multiprocessing
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from .no_ipv6 import refuse_ipv6_sockets

ORPHANED, FAILED = 3, 4  # exit codes of the window's process
CLOSING_PATH = "/window/closing"
DROPPED_PATH = "/window/dropped"
DEBUG_PORT = "WHETSTONE_TEST_DEBUG_PORT"
# The port of Qt's debugger has no lock: whoever may set these could drive the window past every guard.
_DANGEROUS = ("QTWEBENGINE_REMOTE_DEBUGGING", "QTWEBENGINE_CHROMIUM_FLAGS")
_USERNS_LIMIT = Path("/proc/sys/kernel/apparmor_restrict_unprivileged_userns")
_ANSWER_WITHIN_S = 5.0  # the window cannot be used meanwhile
_ENDS_WITHIN_S = 3.0  # after the window was closed
_LEAST_VISIBLE = 120  # pixels of a window's top edge that must stay on a screen to be able to grab it


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowHook:
    """How the window's process reaches the server: `port` on 127.0.0.1 and its own bearer tokens."""

    port: int
    token: str
    log_file: str
    drop_token: str = ""

    def __reduce__(self) -> tuple[Callable[..., "WindowHook"], tuple[int, str, str, str]]:
        return arm, (self.port, self.token, self.log_file, self.drop_token)

    def may_close(self) -> bool:
        """Ask the server whether the window may close; yes if it does not answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=_ANSWER_WITHIN_S)
        try:
            connection.request("POST", CLOSING_PATH, headers={"Authorization": f"Bearer {self.token}"})
            answer = json.loads(connection.getresponse().read())
        except (OSError, ValueError, http.client.HTTPException):
            return True
        finally:
            connection.close()
        return bool(answer != {"may_close": False})

    def dropped(self, paths: list[str]) -> None:
        """Tell the server which files and folders were dragged onto the window; a page never learns their paths."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=_ANSWER_WITHIN_S)
        try:
            headers = {"Authorization": f"Bearer {self.drop_token}", "Content-Type": "application/json"}
            connection.request("POST", DROPPED_PATH, json.dumps({"paths": paths}), headers)
            connection.getresponse().read()
        except (OSError, ValueError, http.client.HTTPException) as error:
            self.tell(f"what was dropped could not be told: {error}")
        finally:
            connection.close()

    def tell(self, text: str) -> None:
        """Append to the log: this process often has no terminal."""
        try:
            with Path(self.log_file).open("a", encoding="utf-8") as stream:
                stream.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} window process: {text}\n")
        except OSError:
            pass  # the log is a courtesy; there is nowhere else to say it
        print(text, file=sys.stderr, flush=True)  # noqa: T201


def arm(port: int, token: str, log_file: str, drop_token: str = "") -> WindowHook:
    """Prepare this process, the window's, and return the hook; called by unpickling."""
    hook = WindowHook(port=port, token=token, log_file=log_file, drop_token=drop_token)
    if multiprocessing.parent_process() is None and multiprocessing.current_process().name == "MainProcess":
        return hook  # unpickled at home
    sys.stdout = sys.stdout or Path(os.devnull).open("w")  # noqa: SIM115  (windowed programs have none on Windows)
    sys.stderr = sys.stderr or sys.stdout
    log_hard_ends(Path(log_file).parent)
    refuse_ipv6_sockets()  # before any other thread, which would go without
    threading.Thread(target=_end_with_parent, daemon=True).start()
    prepare_qt_environment(os.environ)
    import webview

    plain_start = webview.start

    def start(**options: Any) -> None:
        _start(plain_start, options)

    webview.start = start
    return hook


def log_hard_ends(folder: Path) -> None:
    """Let this process write the stacks of its threads into `folder`/crash.log if Qt or another library ends it."""
    with contextlib.suppress(OSError):  # as for every log: without it the program works all the same
        faulthandler.enable((folder / "crash.log").open("a"))


def prepare_qt_environment(environment: "os._Environ[str] | dict[str, str]") -> None:
    """Close Qt's debugging port and switch its sandbox off only where it cannot work."""
    for name in _DANGEROUS:
        environment.pop(name, None)
    port = environment.get(DEBUG_PORT, "")
    if port.isdigit():
        environment["QTWEBENGINE_REMOTE_DEBUGGING"] = f"127.0.0.1:{port}"
    if not _sandbox_can_work():
        environment["QTWEBENGINE_DISABLE_SANDBOX"] = "1"


def nearest_visible_place(
    place: tuple[int, int], size: tuple[int, int], screens: Sequence[tuple[int, int, int, int]]
) -> tuple[int, int] | None:
    """Return `place` if its title bar can be reached on a screen (x, y, width, height), else None.

    The last screen may have been unplugged since the place was remembered.
    """
    x, y = place
    for left, top, width, height in screens:
        across = min(x + size[0], left + width) - max(x, left)
        if across >= _LEAST_VISIBLE and top <= y <= top + height - _LEAST_VISIBLE:
            return place
    return None


def _sandbox_can_work() -> bool:
    if sys.platform != "linux":
        return True
    if os.geteuid() == 0:
        return False
    try:
        return _USERNS_LIMIT.read_text().strip() != "1"
    except OSError:
        return True


def _end_with_parent() -> None:
    """End this process when the server's ends, however that one ends; on Windows too, where the parent's pid stays."""
    while (parent := multiprocessing.parent_process()) is None:
        time.sleep(0.02)  # still being set up
    parent.join()
    os._exit(ORPHANED)


def _start(plain_start: Callable[..., None], options: dict[str, Any]) -> None:
    """Stand in for `webview.start`: an exception in it would leave a process without a window for ever."""
    logging.getLogger("pywebview").setLevel(logging.ERROR)
    hook: WindowHook = options.pop("hook")
    try:
        _prepare_window(hook, options.get("gui"))
        plain_start(**options)
    except BaseException:  # noqa: BLE001  (nobody above would see it; end where the server notices)
        hook.tell("the window could not be opened\n" + traceback.format_exc())
        os._exit(FAILED)
    _end()


def _end() -> None:
    """End this process, whose window was closed; without it the server would wait for it for ever.

    Left to itself, Python waits for threads of pywebview's that wait without limit for a page that is gone, and then
    for Qt's browser to take itself apart, which now and then hangs.
    """
    until = time.monotonic() + _ENDS_WITHIN_S
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not thread.daemon:
            thread.join(max(0.0, until - time.monotonic()))
    os._exit(0)


def _end_late() -> None:
    """End this process soon also if its window was closed and Qt's event loop does not return."""

    def end() -> None:
        time.sleep(2 * _ENDS_WITHIN_S)
        os._exit(0)

    threading.Thread(target=end, daemon=True).start()


def _prepare_window(hook: WindowHook, gui: str | None) -> None:
    import webview
    from webview.guilib import initialize

    window = webview.windows[0]
    window.events.closing += hook.may_close
    window.events.closed += _end_late
    toolkit = initialize(gui)
    _hear_of_drops(hook)
    window.come_forward = lambda: _come_forward(window)
    window.events.before_show += lambda: _allow_copying(window)
    if window.initial_x is None or window.initial_y is None:
        return
    screens = [(screen.x, screen.y, screen.width, screen.height) for screen in toolkit.get_screens()]
    place = (window.initial_x, window.initial_y)
    if nearest_visible_place(place, (window.initial_width, window.initial_height), screens) is None:
        window.initial_x = window.initial_y = None


class _Dropped(list[tuple[str, str]]):
    """Stands where pywebview keeps (name, path) of what was dropped, until its bridge to the page would fetch them.

    Every backend adds to that list with `+=` as soon as it is told of a drop; here that passes them on. So the paths
    are known without a bridge that a page could call.
    """

    def __init__(self, tell: Callable[[list[str]], object]) -> None:
        super().__init__()
        self._tell = tell

    def __iadd__(self, files: Any) -> "_Dropped":  # type: ignore[override,misc]
        paths = [unquote(path) for _, path in files]
        if paths:
            threading.Thread(target=self._tell, args=(paths,), daemon=True).start()
        return self


def _hear_of_drops(hook: WindowHook) -> None:
    """Take what is dragged onto the window; a pywebview that keeps it elsewhere goes without."""
    try:
        from webview.dom import _dnd_state

        _dnd_state["num_listeners"] += 1
        _dnd_state["paths"] = _Dropped(hook.dropped)
    except (ImportError, KeyError, TypeError) as error:
        hook.tell(f"dropped files will not be known: {error}")


def _allow_copying(window: Any) -> None:
    """Let buttons put text on the clipboard, which Qt's browser refuses unless it is told; other backends allow it."""
    page = getattr(getattr(window.native, "webview", None), "page", None)
    if page is not None:
        from qtpy.QtWebEngineCore import QWebEngineSettings

        page().settings().setAttribute(QWebEngineSettings.WebAttribute.JavascriptCanAccessClipboard, True)


def _come_forward(window: Any) -> None:
    """Show the window in front of others, also if it is minimized; called from a thread of NiceGUI's."""
    native = window.native
    if hasattr(native, "isMinimized"):  # Qt: only its own thread may touch it
        from qtpy.QtCore import QTimer

        def forward() -> None:
            if native.isMinimized():
                native.showNormal()
            native.raise_()
            native.activateWindow()

        QTimer.singleShot(0, native, forward)
        return
    window.restore()
    window.show()
