"""A screen of its own with a window manager, and the real native window on it: seen by the debugger, used by mouse.

The debugger is only asked where things are and what they say; every click and key goes through the X server.
"""

import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import psutil

from tests.flow.program import Program

NEEDED = ("Xvfb", "openbox", "xdotool")
PATIENCE_S = 90.0
_CENTRE = """(() => {
  const shown = e => { const r = e.getBoundingClientRect(); const s = getComputedStyle(e);
    return r.width > 0 && r.height > 0 && s.visibility !== 'hidden' && !e.closest('[aria-hidden=true]') };
  const said = e => (e.getAttribute('aria-label') || e.innerText || '').trim();
  const found = [...document.querySelectorAll('SELECTOR')].filter(e => shown(e) && said(e).includes(TEXT))
    .sort((a, b) => said(a).length - said(b).length)[0];
  if (!found) return null;
  found.scrollIntoView({block: 'center'});
  const r = found.getBoundingClientRect();
  return [Math.round(r.x + r.width / 2), Math.round(r.y + r.height / 2)];
})()"""


def missing_programs() -> str:
    """Say what is not installed; '' if nothing is missing."""
    return ", ".join(name for name in NEEDED if shutil.which(name) is None)


class Screen:
    """An X server without a monitor, and openbox on it."""

    def __init__(self, size: str = "1400x1000") -> None:
        read_end, write_end = os.pipe()
        command = ["Xvfb", "-displayfd", str(write_end), "-screen", "0", f"{size}x24", "-nolisten", "tcp"]
        self._server = subprocess.Popen(command, pass_fds=[write_end], stderr=subprocess.DEVNULL)
        os.close(write_end)
        with os.fdopen(read_end) as told:
            self.display = f":{told.readline().strip()}"
        self.environment = {**os.environ, "DISPLAY": self.display, "WAYLAND_DISPLAY": ""}
        self._manager = self._managed()

    def _managed(self) -> "subprocess.Popen[bytes]":
        """Start the window manager; without one nothing would hear Alt+F4. A young server may refuse it once."""
        for _ in range(20):
            manager = subprocess.Popen(["openbox"], env=self.environment, stderr=subprocess.DEVNULL)
            for _ in range(50):
                if manager.poll() is not None:
                    break
                asked = subprocess.run(
                    ["xdotool", "get_desktop"], env=self.environment, capture_output=True, timeout=30
                )
                if not asked.stderr:  # xdotool complains as long as no window manager answers
                    return manager
                time.sleep(0.1)
            manager.kill()
            manager.wait(10)
        raise AssertionError(f"openbox does not start on {self.display}")

    def xdotool(self, *words: str) -> str:
        """Use mouse or keyboard; return what xdotool prints."""
        done = subprocess.run(["xdotool", *words], env=self.environment, capture_output=True, text=True, timeout=30)
        return done.stdout.strip()

    def close(self) -> None:
        for process in (self._manager, self._server):
            process.kill()
            process.wait(10)


class NativeWindow:
    """The program with its native window on a screen."""

    def __init__(self, screen: Screen, environment: dict[str, str] | None = None, wrap: tuple[str, ...] = ()) -> None:
        self.screen = screen
        self.debug_port = _free_port()
        self.program = Program(
            environment={
                "DISPLAY": screen.display,
                "WAYLAND_DISPLAY": "",
                "WHETSTONE_TEST_DEBUG_PORT": str(self.debug_port),
                **(environment or {}),
            },
            wrap=wrap,
        )

    def wait(self) -> "NativeWindow":
        """Wait until the window can be used."""
        self.until(self.window_ids, "the window is shown")
        self.until(self.is_ready, "its page is drawn and connected")
        return self

    def is_ready(self) -> bool:
        """Whether the real interface, not only the first picture, stands there and talks to the server."""
        try:
            return bool(self.evaluate("!!document.querySelector('.frame') && window.socket?.connected"))
        except (aiohttp.ClientError, OSError, IndexError, TimeoutError):
            return False

    def window_ids(self) -> list[str]:
        """X windows of the program that can be seen."""
        return self.screen.xdotool("search", "--onlyvisible", "--name", "^Whetstone$").split()

    def process(self) -> psutil.Process:
        """The window's own process."""
        children = psutil.Process(self.program.process.pid).children()
        return next(child for child in children if "spawn_main" in " ".join(child.cmdline()))

    def evaluate(self, expression: str) -> Any:
        """Evaluate JavaScript in the page."""
        return asyncio.run(self._evaluate(expression))

    async def _evaluate(self, expression: str) -> Any:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)) as session:
            async with session.get(f"http://127.0.0.1:{self.debug_port}/json") as answer:
                pages = [page for page in await answer.json(content_type=None) if page["type"] == "page"]
            async with session.ws_connect(pages[0]["webSocketDebuggerUrl"], max_msg_size=0) as debugger:
                params = {"expression": expression, "returnByValue": True, "awaitPromise": True}
                await debugger.send_json({"id": 1, "method": "Runtime.evaluate", "params": params})
                while True:
                    message = json.loads((await debugger.receive()).data)
                    if message.get("id") == 1 and "result" in message:
                        return message["result"]["result"].get("value")
                    if message.get("id") == 1:
                        raise OSError(f"the page was just replaced: {message}")

    def says(self, text: str) -> bool:
        """Whether the page shows a text."""
        try:
            return bool(self.evaluate(f"document.body.innerText.includes({json.dumps(text)})"))
        except (aiohttp.ClientError, OSError, IndexError, TimeoutError):
            return False

    def until_says(self, text: str, patience_s: float = PATIENCE_S) -> None:
        """Wait until the page shows a text."""
        self.until(lambda: self.says(text), f"the page says {text!r}", patience_s)

    def until(self, condition: Callable[[], object], what: str, patience_s: float = PATIENCE_S) -> None:
        """Wait for something, and tell all we know if it never comes."""
        end = time.monotonic() + patience_s
        while not condition():
            if time.monotonic() > end:
                raise AssertionError(f"never: {what}\n{self.diagnosis()}")
            time.sleep(0.2)

    def ended(self, patience_s: float = PATIENCE_S) -> int:
        """Wait for the program's end and return its exit code; tell all we know if it goes on."""
        self.until(lambda: self.program.process.poll() is not None, "the program ends", patience_s)
        return self.program.wait()

    def diagnosis(self) -> str:
        """Tell what is on the screen and what every process does. Ends the program: its stacks come with SIGABRT."""
        picture = Path(tempfile.gettempdir()) / f"never-{os.getpid()}.png"
        root = ["import", "-window", "root", str(picture)]
        subprocess.run(root, env=self.screen.environment, check=False, timeout=30)
        try:
            page = self.evaluate("document.body.innerText")
        except (aiohttp.ClientError, OSError, IndexError, TimeoutError) as error:
            page = f"(no answer: {error!r})"
        focus = self.screen.xdotool("getwindowfocus", "getwindowname")
        try:
            own = psutil.Process(self.program.process.pid)
            family = [own, *own.children(recursive=True)]
        except psutil.Error:
            family = []
        tree = [f"{p.pid} {p.ppid()} {p.status()} {_command(p)[:150]}" for p in family if p.is_running()]
        for process in [p for p in family if p.pid == self.program.process.pid or "spawn_main" in _command(p)]:
            process.send_signal(signal.SIGABRT)
            time.sleep(1)
        log = Path(os.environ.get("WHETSTONE_DATA_DIR", "")) / "logs"
        tails = [f"{file}:\n{file.read_text(errors='replace')[-6000:]}" for file in sorted(log.glob("*.log"))]
        shown = f"windows {self.window_ids()}, focus {focus!r}, picture {picture}"
        told = [shown, f"page: {page}", "processes:", *tree, "printed:", *self.program.lines[-60:], *tails]
        return "\n".join(told)

    def click(self, text: str, selector: str = "button,[role=tab],[role=button],a,label") -> None:
        """Move the mouse to what says `text` and click."""
        script = _CENTRE.replace("SELECTOR", selector).replace("TEXT", json.dumps(text))
        self.until(lambda: self.evaluate(script), f"something to click says {text!r}")
        time.sleep(0.3)  # a menu or dialog that just opened may still move
        x, y = self.evaluate(script)
        window = self.window_ids()[-1]
        self.screen.xdotool("mousemove", "--window", window, str(x), str(y), "click", "1")

    def press(self, *keys: str) -> None:
        """Press keys in the window."""
        window = self.window_ids()[-1]
        self.screen.xdotool("windowactivate", "--sync", window, "key", *keys)

    def picture(self, file: Path) -> None:
        """Take a picture of the window as it stands on the screen."""
        window = self.window_ids()[-1]
        subprocess.run(["import", "-window", window, str(file)], env=self.screen.environment, check=True, timeout=30)

    def close(self) -> None:
        try:
            family = psutil.Process(self.program.process.pid).children(recursive=True)
        except psutil.Error:
            family = []
        self.program.close()
        psutil.wait_procs([p for p in family if "QtWebEngine" in _name(p) or "spawn_main" in _command(p)], timeout=10)


def _name(process: psutil.Process) -> str:
    try:
        return str(process.name())
    except psutil.Error:
        return ""


def _command(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
