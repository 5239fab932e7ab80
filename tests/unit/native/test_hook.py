"""What the window's process decides before there is a window."""

import http.server
import json
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest
from webview import dom

from desktop_app.native.hook import WindowHook, _hear_of_drops, nearest_visible_place, prepare_qt_environment
from desktop_app.process import wait_until

SCREENS = [(0, 0, 1920, 1080), (1920, 200, 1280, 1024)]
SIZE = (1000, 700)


@pytest.mark.parametrize(
    ("place", "is_visible"),
    [
        ((0, 0), True),
        ((1500, 900), True),
        ((2500, 300), True),
        ((-800, 100), True),
        ((-900, 100), False),
        ((5000, 100), False),
        ((100, -50), False),
        ((100, 1070), False),
        ((3150, 400), False),
    ],
)
def test_a_window_is_not_put_where_nobody_can_reach_it(place: tuple[int, int], is_visible: bool) -> None:
    assert nearest_visible_place(place, SIZE, SCREENS) == (place if is_visible else None)
    assert nearest_visible_place(place, SIZE, []) is None


def test_the_debugging_port_is_closed_whatever_was_set() -> None:
    environment = {
        "QTWEBENGINE_REMOTE_DEBUGGING": "0.0.0.0:1",
        "QTWEBENGINE_CHROMIUM_FLAGS": "--remote-debugging-port=1",
    }
    prepare_qt_environment(environment)
    assert not {"QTWEBENGINE_REMOTE_DEBUGGING", "QTWEBENGINE_CHROMIUM_FLAGS"} & set(environment)


def test_a_test_opens_it_on_this_computer_only() -> None:
    environment = {"WHETSTONE_TEST_DEBUG_PORT": "9333"}
    prepare_qt_environment(environment)
    assert environment["QTWEBENGINE_REMOTE_DEBUGGING"] == "127.0.0.1:9333"
    bad = {"WHETSTONE_TEST_DEBUG_PORT": "0.0.0.0:1"}
    prepare_qt_environment(bad)
    assert "QTWEBENGINE_REMOTE_DEBUGGING" not in bad


@pytest.mark.skipif(os.name == "nt" or os.geteuid() != 0, reason="only root needs it")
def test_root_has_no_sandbox() -> None:
    environment: dict[str, str] = {}
    prepare_qt_environment(environment)
    assert environment["QTWEBENGINE_DISABLE_SANDBOX"] == "1"


class _Answer(http.server.BaseHTTPRequestHandler):
    body, status, sent = b"", 200, b""

    def do_POST(self) -> None:
        type(self).asked = (self.path, self.headers["Authorization"], self.headers["Host"])
        type(self).sent = self.rfile.read(int(self.headers["Content-Length"] or 0))
        self.send_response(self.status)
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def hook() -> Iterator[WindowHook]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield WindowHook(port=server.server_address[1], token="secret", log_file=os.devnull, drop_token="drops")
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("status", "body", "may_close"),
    [
        (200, json.dumps({"may_close": False}).encode(), False),
        (200, json.dumps({"may_close": True}).encode(), True),
        (403, b"Forbidden", True),
        (500, b"", True),
    ],
)
def test_only_a_clear_no_keeps_the_window_open(hook: WindowHook, status: int, body: bytes, may_close: bool) -> None:
    _Answer.body, _Answer.status = body, status
    assert hook.may_close() is may_close
    assert _Answer.asked == ("/window/closing", "Bearer secret", f"127.0.0.1:{hook.port}")


def test_a_dead_server_does_not_keep_the_window_open() -> None:
    assert WindowHook(port=1, token="", log_file=os.devnull).may_close() is True


def test_unpickled_at_home_it_changes_nothing() -> None:
    hook = WindowHook(port=1, token="t", log_file="l")
    threads = threading.active_count()
    assert pickle.loads(pickle.dumps(hook)) == hook
    assert threading.active_count() == threads


def test_what_is_dropped_is_told_to_the_server_by_its_whole_path(hook: WindowHook) -> None:
    _Answer.status, _Answer.sent = 200, b""
    _hear_of_drops(hook)
    assert dom._dnd_state["num_listeners"] > 0
    dom._dnd_state["paths"] += [
        ("a%20b", "/stick/a%20b"),
        ("\u00e4.gguf", "/stick/\u00e4.gguf"),
    ]  # as every backend does
    assert wait_until(lambda: _Answer.sent, 10)
    assert json.loads(_Answer.sent) == {"paths": ["/stick/a b", "/stick/\u00e4.gguf"]}
    assert _Answer.asked == ("/window/dropped", "Bearer drops", f"127.0.0.1:{hook.port}")
    assert list(dom._dnd_state["paths"]) == [], "nothing is kept for a page to fetch"


_CLOSED = """
import sys, threading
from desktop_app.native import hook

def closed(**options):
    threading.Thread(target=threading.Event().wait).start()  # waits for a page that is gone
    if sys.argv[1] == "loop hangs":
        hook._end_late()
        threading.Event().wait()

hook._ENDS_WITHIN_S = 0.1
hook._prepare_window = lambda *_: None
hook._start(closed, {"hook": hook.WindowHook(port=1, token="", log_file="")})
"""


@pytest.mark.parametrize("what", ["a thread hangs", "loop hangs"])
def test_a_closed_window_ends_its_process_whatever_still_waits(what: str) -> None:
    assert subprocess.run([sys.executable, "-c", _CLOSED, what], timeout=60).returncode == 0
