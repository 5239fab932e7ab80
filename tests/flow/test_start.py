"""Starting the program: one instance, a word where no window can be opened, settings that were damaged."""

import json
import os
import signal
import socket
import stat
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tests.flow.program import Program, Script

NO_DISPLAY = {"DISPLAY": "", "WAYLAND_DISPLAY": ""}


@pytest.fixture
def start(data_dir: Path) -> Iterator[Callable[..., Program]]:
    started: list[Program] = []

    def starting(*arguments: str, **options: object) -> Program:
        started.append(Program(*arguments, **options))  # type: ignore[arg-type]
        return started[-1]

    yield starting
    for program in started:
        program.close()


def test_many_starts_and_one_winner(start: Callable[..., Program], data_dir: Path) -> None:
    programs = [start("--browser") for _ in range(5)]
    links = [program.link() for program in programs]
    assert len(set(links)) == 5
    ports = {link.split("/")[2] for link in links}
    assert len(ports) == 1, "all links lead to the first"
    alive = [program for program in programs if _ends(program) is None]
    assert len(alive) == 1
    assert [_ends(program) for program in programs if program not in alive] == [0, 0, 0, 0]
    assert stat.S_IMODE((data_dir / "window.json").stat().st_mode) == 0o600
    alive[0].process.kill()
    alive[0].wait()
    again = start("--browser")  # nothing is left to unlock by hand
    assert again.link().split("/")[2] not in ports


def _ends(program: Program) -> int | None:
    """Exit code if it ends within some seconds."""
    end = time.monotonic() + 5
    while program.process.poll() is None and time.monotonic() < end:
        time.sleep(0.05)
        if any("Scripts find" in line for line in program.lines):
            return None
    return program.process.poll()


@pytest.mark.skipif(sys.platform != "linux", reason="other systems always have a display")
def test_without_a_display_it_says_so_and_serves(start: Callable[..., Program]) -> None:
    program = start(environment=NO_DISPLAY)
    link = program.link()
    assert any("no display" in line for line in program.lines)
    assert _visit(link) == 200


@pytest.mark.skipif(sys.platform != "linux", reason="other systems always have a display")
def test_with_a_broken_display_it_says_so_and_serves(start: Callable[..., Program], data_dir: Path) -> None:
    program = start(environment={"DISPLAY": ":987", "WAYLAND_DISPLAY": ""})
    link = program.link()
    assert any("window" in line and "could not be opened" in line for line in program.lines), program.lines
    assert _visit(link) == 200
    assert "could not be opened" in (data_dir / "logs" / "window.log").read_text()


def test_the_secrets_stand_nowhere_but_in_the_private_files(start: Callable[..., Program], data_dir: Path) -> None:
    program = start("--browser")
    key = program.link().split("key=")[1].encode()
    secrets = [key, json.loads((data_dir / "window.json").read_text())["token"].encode()]
    secrets.append(Script(data_dir).token.encode())
    process = psutil.Process(program.process.pid)
    told = " ".join([*process.cmdline(), *process.environ().values()]).encode()
    for file in data_dir.rglob("*"):
        if file.is_file():
            told += file.read_bytes() if file.name != "window.json" else b""
    assert not any(secret in told for secret in secrets)
    assert not [f for f in data_dir.rglob("*.json") if stat.S_IMODE(f.stat().st_mode) & 0o077 and f.parent == data_dir]
    assert stat.S_IMODE(data_dir.stat().st_mode) == 0o700


def test_it_listens_on_this_computer_only(start: Callable[..., Program]) -> None:
    program = start("--browser")
    port = int(program.link().split(":")[2].split("/")[0])
    family = [psutil.Process(program.process.pid), *psutil.Process(program.process.pid).children(recursive=True)]
    listening = [c.laddr for p in family for c in p.net_connections("inet") if c.status == psutil.CONN_LISTEN]
    assert listening == [("127.0.0.1", port)]


def test_damaged_settings_are_put_aside_and_it_starts(start: Callable[..., Program], data_dir: Path) -> None:
    settings = data_dir / "settings"
    settings.mkdir(parents=True)
    (settings / "storage-general.json").write_bytes(b"\0" * 400)
    assert _visit(start("--browser").link()) == 200
    assert [file.read_bytes() for file in settings.glob("*damaged*")] == [b"\0" * 400]


def test_a_data_folder_that_cannot_be_written_is_told_in_words(
    start: Callable[..., Program], data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data_dir.write_text("a file")
    program = start("--browser")
    assert program.wait() == 2
    assert str(data_dir) in " ".join(program.lines) and "Traceback" not in " ".join(program.lines)


def test_an_unknown_word_is_refused(start: Callable[..., Program]) -> None:
    program = start("--brwser")
    assert program.wait() == 2
    assert "--brwser" in " ".join(program.lines)


@pytest.mark.skipif(os.name == "nt", reason="no signals on Windows")
@pytest.mark.parametrize("signal_number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_when_told_to_even_with_an_open_stream(start: Callable[..., Program], signal_number: int) -> None:
    program = start("--browser")
    link = program.link()
    host = link.split("/")[2]
    held = socket.create_connection(host.split(":"), timeout=5)
    held.sendall(b"GET /")  # a request that never ends
    program.process.send_signal(signal_number)
    program.process.wait(20)
    held.close()
    with pytest.raises(OSError):
        socket.create_connection(host.split(":"), timeout=2)


def _visit(link: str) -> int:
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
    with opener.open(link, timeout=30) as response:
        assert b"Whetstone" in response.read()
        return int(response.status)
