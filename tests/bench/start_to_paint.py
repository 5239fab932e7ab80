"""Start to first paint, and memory, of the window against a bare `ui.run(native=True)` page on the same machine.

    python tests/bench/start_to_paint.py --pairs 7

Both are started in turn on one screen (Xvfb); the first pair only warms the disk cache. Time runs from the
start of the process to the page's first contentful paint (ours shows its empty frame first), and to the moment
when the interface itself was drawn, as the page tells both. Memory is the proportional set size (PSS) of all
processes, some seconds after the paint.
"""

import argparse
import asyncio
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import psutil

ROOT = Path(__file__).resolve().parents[2]
BARE = """
from nicegui import ui
if __name__ in {"__main__", "__mp_main__"}:
    ui.label("Hello")
    ui.run(native=True, reload=False, show_welcome_message=False, window_size=(1280, 820))
"""
_PAINT = """new Promise(done => { const look = () => {
  const paint = performance.getEntriesByName('first-contentful-paint')[0];
  const seen = [...document.querySelectorAll('.nicegui-content *')].some(e => e.innerText && e.offsetWidth);
  if (!paint || !seen) return setTimeout(look, 10);
  requestAnimationFrame(() => setTimeout(() => done([paint.startTime, performance.now()].map(
    moment => performance.timeOrigin + moment)))) }; look() })"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """One start: seconds to first paint and drawn interface, processor seconds until then, memory in MiB."""

    paint_s: float
    drawn_s: float
    cpu_s: float
    memory_mib: float
    services_mib: float


def main() -> int:
    """Measure, print a table, and return 1 if a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--settle", type=float, default=6.0, help="seconds from paint to the look at memory")
    arguments = parser.parse_args()
    missing = [name for name in ("Xvfb", "openbox") if shutil.which(name) is None]
    if missing:
        print(f"Not installed: {', '.join(missing)}")
        return 2
    bare, ours = _measure(arguments.pairs, arguments.settle)
    goals = {"paint_s": ("start to first paint, s", 1.10), "memory_mib": ("memory (PSS), MiB", 1.15)}
    print(
        f"\n{'median of ' + str(arguments.pairs) + ' pairs':28} {'bare':>8} {'Whetstone':>10} {'ratio':>7} {'goal':>6}"
    )
    missed = False
    for name, (title, goal) in goals.items():
        values = [[getattr(start, name) for start in starts] for starts in (bare, ours)]
        ratio = statistics.median(b / a for a, b in zip(*values, strict=True))
        missed |= ratio > goal
        medians = [statistics.median(each) for each in values]
        print(f"{title:28} {medians[0]:8.2f} {medians[1]:10.2f} {ratio:7.3f} {goal:6.2f}")
    drawn = [[start.drawn_s for start in starts] for starts in (bare, ours)]
    ratio = statistics.median(b / a for a, b in zip(*drawn, strict=True))
    medians = [statistics.median(each) for each in drawn]
    print(f"{'start to drawn interface, s':28} {medians[0]:8.2f} {medians[1]:10.2f} {ratio:7.3f}")
    cpu = [statistics.median(start.cpu_s for start in starts) for starts in (bare, ours)]
    print(f"{'processor time until then, s':28} {cpu[0]:8.2f} {cpu[1]:10.2f} {cpu[1] / cpu[0]:7.3f}")
    services = statistics.median(start.services_mib for start in ours)
    print(f"{'of it services, MiB':28} {0:8.2f} {services:10.2f}")
    print(f"load while measuring: {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")
    return int(missed)


def _measure(pairs: int, settle_s: float) -> tuple[list[Start], list[Start]]:
    bare, ours = [], []
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "bare.py"
        page.write_text(BARE)
        display, servers = _screen()
        try:
            for number in range(pairs + 1):
                first = asyncio.run(_start([str(page)], display, Path(folder), settle_s))
                second = asyncio.run(_start([str(ROOT / "main.py")], display, Path(folder), settle_s))
                print(f"pair {number}: bare {first.paint_s:.2f} s, Whetstone {second.paint_s:.2f} s", flush=True)
                if number:
                    bare.append(first)
                    ours.append(second)
        finally:
            for server in servers:
                server.kill()
                server.wait()
    return bare, ours


def _screen() -> tuple[str, "list[subprocess.Popen[bytes]]"]:
    read_end, write_end = os.pipe()
    command = ["Xvfb", "-displayfd", str(write_end), "-screen", "0", "1400x1000x24", "-nolisten", "tcp"]
    server = subprocess.Popen(command, pass_fds=[write_end], stderr=subprocess.DEVNULL)
    os.close(write_end)
    with os.fdopen(read_end) as told:
        display = f":{told.readline().strip()}"
    manager = subprocess.Popen(["openbox"], env={**os.environ, "DISPLAY": display}, stderr=subprocess.DEVNULL)
    return display, [manager, server]


async def _start(command: list[str], display: str, folder: Path, settle_s: float) -> Start:
    port = _free_port()
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment = {
        **kept,
        "DISPLAY": display,
        "WHETSTONE_DATA_DIR": str(folder / "data"),
        "NICEGUI_STORAGE_PATH": str(folder / "nicegui"),
        "WHETSTONE_TEST_DEBUG_PORT": str(port),  # ours ignores Qt's own name
        "QTWEBENGINE_REMOTE_DEBUGGING": f"127.0.0.1:{port}",
        "PYWEBVIEW_GUI": "qt",
        "QTWEBENGINE_DISABLE_SANDBOX": "1",
    }
    began = time.time()
    process = subprocess.Popen(
        [sys.executable, *command], cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        painted, drawn = await _first_paint(port)
        cpu_s = sum(sum(member.cpu_times()[:2]) for member in _family(process.pid))
        await asyncio.sleep(settle_s)
        family = _family(process.pid)
        sizes = [(" ".join(p.cmdline()), p.memory_full_info().pss / 2**20) for p in family]
        services = sum(size for command_line, size in sizes if "--service" in command_line)
        return Start(
            paint_s=painted - began,
            drawn_s=drawn - began,
            cpu_s=cpu_s,
            memory_mib=sum(size for _, size in sizes),
            services_mib=services,
        )
    finally:
        for member in reversed(psutil.Process(process.pid).children(recursive=True)):
            member.kill()
        process.kill()
        process.wait()


def _family(pid: int) -> list[psutil.Process]:
    return [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]


async def _first_paint(port: int) -> tuple[float, float]:
    """Ask the page when it was first painted and when it was drawn, in Unix seconds."""
    end = time.monotonic() + 60
    async with aiohttp.ClientSession() as session:
        while time.monotonic() < end:
            try:
                async with session.get(f"http://127.0.0.1:{port}/json") as answer:
                    pages: list[dict[str, Any]] = await answer.json(content_type=None)
                url = next(page["webSocketDebuggerUrl"] for page in pages if page["url"].startswith("http://127.0.0.1"))
                return await _asked(session, url)
            except (aiohttp.ClientError, StopIteration, KeyError, TypeError):
                await asyncio.sleep(0.1)
    raise SystemExit("The page was never painted.")


async def _asked(session: aiohttp.ClientSession, url: str) -> tuple[float, float]:
    async with session.ws_connect(url, max_msg_size=0) as debugger:
        params = {"expression": _PAINT, "returnByValue": True, "awaitPromise": True}
        await debugger.send_json({"id": 1, "method": "Runtime.evaluate", "params": params})
        while True:
            message = json.loads((await debugger.receive()).data)
            if message.get("id") == 1:
                painted, drawn = message["result"]["result"]["value"]
                return painted / 1000, drawn / 1000


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    sys.exit(main())
