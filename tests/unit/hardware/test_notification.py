"""Names of jobs reach the user as they are, and never as code."""

import base64
import os
import sys
import time
from pathlib import Path

import pytest

from desktop_app.errors import StorageError
from desktop_app.hardware.notification import notification_commands, notify
from desktop_app.hardware.opener import reveal
from desktop_app.process import reap
from tests.fakes.own_children import own_children

NASTY = "'; Remove-Item x; ' <b>$(touch canary)</b> \"`touch canary`\" ü"
posix_only = pytest.mark.skipif(os.name == "nt", reason="puts shell scripts in the programs' place")


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is the only one in which programs are found."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setattr(sys, "platform", "linux")
    return folder


def _program(folder: Path, name: str, body: str) -> Path:
    """Write a program that notes its arguments, one a line, then does `body`."""
    noted = folder / f"{name}.noted"
    file = folder / name
    file.write_text(f'#!/bin/sh\nfor word in "$@"; do echo "$word"; done > \'{noted}\'\n{body}\n')
    file.chmod(0o755)
    return noted


@posix_only
def test_title_and_text_arrive_as_single_words(programs: Path) -> None:
    noted = _program(programs, "notify-send", "exit 0")
    assert notify(f"--hint={NASTY}", f"<img> & {NASTY}")
    escaped = NASTY.replace("<", "&lt;").replace(">", "&gt;")
    assert noted.read_text().splitlines() == [
        "--app-name=Whetstone",
        "--",
        f"--hint={NASTY}",
        f"&lt;img&gt; &amp; {escaped}",
    ]


@posix_only
def test_without_a_notifier_nothing_happens(programs: Path) -> None:
    assert notify("done", "in 3 min") is False
    _program(programs, "notify-send", "exit 1")
    assert notify("done\0", "x" * 100_000) is False


@pytest.mark.parametrize("platform", ["win32", "darwin"])
def test_other_systems_get_no_foreign_text_in_their_scripts(monkeypatch: pytest.MonkeyPatch, platform: str) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    (command,) = notification_commands(NASTY, NASTY)
    if platform == "win32":
        script = base64.b64decode(command[-1]).decode("utf-16-le")
        assert base64.b64encode(NASTY.encode()).decode() in script
        assert "Remove-Item" not in script
    else:
        assert command[-2:] == [NASTY, NASTY]
        assert not any(NASTY in word for word in command[:-2])


@posix_only
def test_a_folder_is_opened_and_a_file_shown_in_its_folder(programs: Path, tmp_path: Path) -> None:
    noted = _program(programs, "xdg-open", "exit 0")
    folder = tmp_path / "my results"
    folder.mkdir()
    (folder / "run.desktop").touch()
    reveal(folder)
    assert noted.read_text() == f"{folder}\n"
    reveal(folder / "run.desktop")  # no gdbus here: its folder is opened, the file is not
    assert noted.read_text() == f"{folder}\n"
    shown = _program(programs, "gdbus", "exit 0")
    reveal(folder / "run.desktop")
    assert "my%20results/run.desktop" in shown.read_text()


@posix_only
def test_a_file_manager_that_stays_open_does_not_hold_up_the_window(programs: Path, tmp_path: Path) -> None:
    _program(programs, "xdg-open", "PATH=/usr/bin:/bin exec sleep 60")
    start = time.monotonic()
    reveal(tmp_path)
    assert time.monotonic() - start < 30
    for child in own_children("sleep"):
        child.kill()
    reap()


@posix_only
def test_what_cannot_be_shown_is_told_with_its_place(programs: Path, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="No file manager") as caught:
        reveal(tmp_path)
    assert str(tmp_path) in caught.value.hint
    with pytest.raises(StorageError, match="not there any more"):
        reveal(tmp_path / "gone")
