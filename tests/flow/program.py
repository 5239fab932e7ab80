"""The whole program as a process, served for a browser, spoken to as a script does."""

import http.client
import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from desktop_app.access_tokens import AccessTokens

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 60.0
# build/package.py points this at the packaged window, to try the very same things with it.
PACKAGED = os.environ.get("WHETSTONE_PACKAGED")
PROGRAM = [PACKAGED] if PACKAGED else [sys.executable, str(ROOT / "main.py")]


class Program:
    """One start of `main.py`; `lines` is what it printed so far."""

    def __init__(
        self, *arguments: str, environment: Mapping[str, str] | None = None, wrap: tuple[str, ...] = ()
    ) -> None:
        inherited = {k: v for k, v in os.environ.items() if k != "PYTEST_CURRENT_TEST" and not k.startswith("NICEGUI")}
        self.process = subprocess.Popen(
            [*wrap, *PROGRAM, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**inherited, "PYTHONUNBUFFERED": "1", **(environment or {})},
        )
        self.lines: list[str] = []
        self._new: queue.Queue[str] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))
            self._new.put(line.strip())

    def link(self) -> str:
        """Wait for the next one-time link it prints."""
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            try:
                line = self._new.get(timeout=0.2)
            except queue.Empty:
                assert self.process.poll() is None, self.lines
                continue
            if line.startswith("http://127.0.0.1:"):
                return line
        raise AssertionError(f"no link in {self.lines}")

    def wait(self) -> int:
        """Wait for its end and return the exit code."""
        code = self.process.wait(PATIENCE_S)
        self._reader.join(10)
        return code

    def close(self) -> None:
        self.process.kill()
        self.process.wait(10)
        self._reader.join(10)
        assert self.process.stdout is not None
        self.process.stdout.close()


class Script:
    """A script that found the API by its file and was given a token of its own."""

    def __init__(self, data_dir: Path) -> None:
        about = json.loads((data_dir / "api.json").read_text())
        access = AccessTokens(data_dir / "api_tokens.json")
        self.token = access.create("script")
        access.switch(True)
        self.url = urlsplit(about["url"])
        self.headers = {"Authorization": f"Bearer {self.token}"}

    def call(self, method: str, path: str, body: object = None, timeout_s: float = 30) -> tuple[int, Any]:
        connection = http.client.HTTPConnection(self.url.netloc, timeout=timeout_s)
        try:
            sent = body if isinstance(body, bytes | None) else json.dumps(body)
            connection.request(method, self.url.path + path, sent, self.headers)
            response = connection.getresponse()
            return response.status, json.loads(response.read() or b"null")
        finally:
            connection.close()

    def status(self, path: str, method: str = "GET") -> int:
        """Status of an answer that need not be JSON."""
        connection = http.client.HTTPConnection(self.url.netloc, timeout=30)
        try:
            connection.request(method, self.url.path + path, headers=self.headers)
            return connection.getresponse().status
        finally:
            connection.close()

    def stream(self, path: str, **headers: str) -> Iterator[tuple[str, str, Any]]:
        """Read server-sent events until the server closes: id, name, data."""
        with closing(http.client.HTTPConnection(self.url.netloc, timeout=30)) as connection:
            connection.request("GET", self.url.path + path, headers={**self.headers, **headers})
            response = connection.getresponse()
            assert response.status == 200 and response.getheader("content-type", "").startswith("text/event-stream")
            event: dict[str, str] = {}
            for line in iter(lambda: response.readline().decode().rstrip("\n"), None):
                if line:
                    name, _, value = line.partition(": ")
                    event[name] = value
                elif event:
                    yield event["id"], event["event"], json.loads(event["data"])
                    if event["event"] == "end":
                        break
                    event = {}
