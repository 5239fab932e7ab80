"""Served for a computer without a display: where it listens, who is let in, and what is told."""

import http.client
import json
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from desktop_app.access_tokens import AccessTokens
from desktop_app.paths import uploads_dir
from tests.flow.program import PROGRAM, Program


@pytest.fixture
def start(data_dir: Path) -> Iterator[Callable[..., Program]]:
    started: list[Program] = []

    def starting(*arguments: str) -> Program:
        started.append(Program("serve", *arguments))
        return started[-1]

    yield starting
    for program in started:
        program.close()


def _status(port: int, host: str, token: str = "", path: str = "/api/v1/jobs") -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        headers = {"Host": host, **({"Authorization": f"Bearer {token}"} if token else {})}
        connection.request("GET", path, headers=headers)
        return connection.getresponse().status
    finally:
        connection.close()


def test_it_is_reached_by_the_names_that_were_allowed(start: Callable[..., Program], data_dir: Path) -> None:
    access = AccessTokens(data_dir / "api_tokens.json")
    token = access.create("test")
    access.switch(True)
    port = _free_port()
    program = start("--port", str(port), "--allowed-host", "lab.example", "--allowed-host", "other.example:8000")
    assert program.link().startswith(f"http://127.0.0.1:{port}/start?key=")
    assert not any("Careful" in line for line in program.lines)
    allowed = [f"127.0.0.1:{port}", "lab.example", f"lab.example:{port}", "other.example:8000"]
    assert [_status(port, host, token) for host in allowed] == [200] * 4
    assert [_status(port, host) for host in allowed] == [403] * 4
    for host in ("other.example", "evil.example", f"localhost:{port}"):
        assert _status(port, host, token) == 403, host


def test_it_warns_where_other_computers_can_reach_it(start: Callable[..., Program]) -> None:
    program = start("--host", "0.0.0.0", "--port", str(_free_port()))
    program.link()
    assert any("other computers can reach" in line for line in program.lines)


@pytest.mark.parametrize("arguments", [["--host", "203.0.113.7", "--port", "8431"], ["--port", "TAKEN"]])
def test_an_address_that_cannot_be_had_is_told_in_words(data_dir: Path, arguments: list[str]) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        words = [str(holder.getsockname()[1]) if word == "TAKEN" else word for word in arguments]
        done = subprocess.run([*PROGRAM, "serve", *words], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "Nothing can be served at" in done.stderr and "--port" in done.stderr


def test_tokens_are_made_and_revoked_in_the_terminal(data_dir: Path) -> None:
    def call(*words: str) -> tuple[int, str]:
        done = subprocess.run([*PROGRAM, "token", *words], capture_output=True, text=True, timeout=60)
        return done.returncode, done.stdout + done.stderr

    code, told = call("create", "editor")
    assert code == 0 and "still off" in told
    token = told.split()[0]
    assert call("on")[0] == 0 and AccessTokens(data_dir / "api_tokens.json").accepts(token)
    code, told = call("list", "--json")
    assert [known["name"] for known in json.loads(told)["tokens"]] == ["editor"] and "sha256" not in told
    assert call("revoke", "editor")[0] == 0 and not AccessTokens(data_dir / "api_tokens.json").accepts(token)
    for words in (["revoke", "editor"], ["create"]):
        code, told = call(*words)
        assert code == 2 and told.count("\n") >= 2


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this computer")
def test_a_file_of_the_browsers_computer_is_sent_and_used(start: Callable[..., Program], tmp_path: Path) -> None:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    (tmp_path / "my rows.jsonl").write_text('{"question": "a", "answer": "b"}\n' * 50)
    link = start("--port", str(_free_port())).link()
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage"])
        page = browser.new_page()
        page.set_default_timeout(60_000)
        page.goto(link)
        page.get_by_role("tab", name="Data").click()
        page.get_by_role("button", name="Choose a file").first.click()
        with page.expect_file_chooser() as chosen:
            page.get_by_role("button", name="Upload").click()
        chosen.value.set_files(tmp_path / "my rows.jsonl")
        page.get_by_text("questions and answers").first.wait_for()
        browser.close()
    assert (uploads_dir() / "my rows.jsonl").read_bytes() == (tmp_path / "my rows.jsonl").read_bytes()
