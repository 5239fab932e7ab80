"""A real server with a real page behind the guard, as a process of its own."""

import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


class GuardedPage:
    """The process, what it told about itself, and the requests it let through so far."""

    def __init__(self) -> None:
        # NiceGUI behaves differently where it believes to be in a test itself.
        environment = {
            k: v for k, v in os.environ.items() if k != "PYTEST_CURRENT_TEST" and not k.startswith("NICEGUI")
        }
        self.process = subprocess.Popen(
            [sys.executable, str(ROOT / "tests/security/guarded_page.py")],
            stdout=subprocess.PIPE,
            text=True,
            env={**environment, "PYTHONPATH": str(ROOT)},
        )
        assert self.process.stdout is not None
        self.about: dict[str, Any] = json.loads(self.process.stdout.readline())
        self._lines: queue.Queue[str] = queue.Queue()
        self._reader = threading.Thread(target=self._collect, args=(self.process.stdout,), daemon=True)
        self._reader.start()

    def _collect(self, lines: Any) -> None:
        for line in lines:
            self._lines.put(line.strip())

    @property
    def port(self) -> int:
        return int(self.about["port"])

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def cookie(self) -> str:
        return f"{self.about['cookie']}={self.about['session']}"

    def passed(self) -> list[str]:
        """Take the requests that got through since the last call."""
        taken = []
        while not self._lines.empty():
            taken.append(self._lines.get())
        return taken

    def new_key(self) -> str:
        """Take one of its start keys."""
        return str(self.about["keys"].pop())

    def close(self) -> None:
        self.process.kill()
        self.process.wait(10)
        self._reader.join(10)
        assert self.process.stdout is not None
        self.process.stdout.close()


@pytest.fixture(scope="session")
def _server() -> Iterator[GuardedPage]:
    page = GuardedPage()
    yield page
    page.close()


@pytest.fixture
def guarded(_server: GuardedPage) -> GuardedPage:
    time.sleep(0.1)  # what the test before let through
    _server.passed()
    return _server
