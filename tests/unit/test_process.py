"""Processes: recognised beyond doubt, ended with all they started, started clean of the package's environment."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from desktop_app import process
from desktop_app.job_folder import JobFolder, ProcessIdentity

SLEEPER = [sys.executable, "-c", "import time; time.sleep(600)"]
# A parent with a child, a grandchild in a session of its own, and one whose parent has gone.
FAMILY = """
import subprocess, sys, time
sleeper = [sys.executable, "-c", "import time; time.sleep(600)"]
subprocess.Popen(sleeper)
subprocess.Popen(sleeper, start_new_session=True)
subprocess.run([sys.executable, "-c", "import subprocess, sys; subprocess.Popen([sys.executable, '-c', "
    "'import time; time.sleep(600)'], start_new_session=True)"])
print("ready", flush=True)
time.sleep(600)
"""


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "folder with ü" / "console.log"


@pytest.fixture
def nonce() -> Iterator[str]:
    value = f"test-{os.getpid()}-{time.monotonic_ns()}"
    yield value
    process.end_tree(ProcessIdentity(pid=0, started=0, boot=process.boot_id(), nonce=value))


def members(nonce: str) -> list[psutil.Process]:
    return process._with_nonce(nonce)


def test_a_detached_process_prints_into_its_log_in_a_session_of_its_own(log: Path, nonce: str) -> None:
    code = "import os, sys; print(os.getsid(0) == os.getpid(), sys.stdin.read() == '', os.environ['WHETSTONE_NONCE'])"
    identity = process.start_detached([sys.executable, "-c", code], log, nonce)
    assert process.wait_until(lambda: process.exit_code(identity) == 0, 30)
    assert log.read_text() == f"True True {nonce}\n"
    assert not process.is_alive(identity)


def test_a_log_cut_short_goes_on_from_its_start(log: Path, nonce: str) -> None:
    code = "import sys\nfor line in range(400): print(line, flush=True); __import__('time').sleep(0.005)"
    identity = process.start_detached([sys.executable, "-c", code], log, nonce)
    assert process.wait_until(lambda: log.exists() and log.stat().st_size > 100, 30)
    os.truncate(log, 0)
    assert process.wait_until(lambda: process.exit_code(identity) == 0, 30)
    assert b"\0" not in log.read_bytes() and log.read_text().endswith("399\n")


def test_exit_code_tells_the_signal(log: Path, nonce: str) -> None:
    identity = process.start_detached(SLEEPER, log, nonce)
    assert process.is_alive(identity) and process.exit_code(identity) is None
    os.kill(identity.pid, signal.SIGKILL)
    assert process.wait_until(lambda: process.exit_code(identity) == -9, 30)


def test_the_code_of_a_child_is_known_even_if_it_was_ended_by_force(log: Path, nonce: str) -> None:
    identity = process.start_detached(SLEEPER, log, nonce)
    process.end_tree(identity)
    assert process.exit_code(identity) == -9
    assert not psutil.pid_exists(identity.pid), "a zombie stays"


def test_a_program_that_is_not_there_is_an_error(log: Path) -> None:
    with pytest.raises(FileNotFoundError):
        process.start_detached([str(log.parent / "none")], log)


def test_ending_takes_the_whole_family(log: Path, nonce: str) -> None:
    identity = process.start_detached([sys.executable, "-c", FAMILY], log, nonce)
    assert process.wait_until(lambda: log.read_text() == "ready\n", 30)
    assert len(members(nonce)) == 4
    process.end_tree(identity)
    assert members(nonce) == []


def test_what_a_dead_process_left_behind_is_found(log: Path, nonce: str) -> None:
    identity = process.start_detached([sys.executable, "-c", FAMILY], log, nonce)
    assert process.wait_until(lambda: log.read_text() == "ready\n", 30)
    os.kill(identity.pid, signal.SIGKILL)
    assert process.wait_until(lambda: process.exit_code(identity) == -9, 30)
    assert len(members(nonce)) == 3
    process.end_tree(identity)
    assert members(nonce) == []


def test_a_polite_end_comes_first(log: Path, nonce: str) -> None:
    code = (
        "import signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: (print('bye', flush=True), sys.exit(0)))\n"
        "print('ready', flush=True); time.sleep(600)"
    )
    identity = process.start_detached([sys.executable, "-c", code], log, nonce)
    assert process.wait_until(lambda: log.read_text() == "ready\n", 30)
    process.end_tree(identity, grace_s=30)
    assert log.read_text() == "ready\nbye\n" and process.exit_code(identity) == 0


def test_a_stranger_with_the_same_pid_is_neither_taken_for_it_nor_ended(log: Path, nonce: str) -> None:
    with subprocess.Popen(SLEEPER) as stranger:
        real = process.identity_of(stranger.pid, nonce)
        assert process.is_alive(real)
        for other in (
            real.model_copy(update={"started": real.started - 1}),
            real.model_copy(update={"boot": "another boot"}),
            real.model_copy(update={"pid": 0}),
        ):
            assert not process.is_alive(other)
            process.end_tree(other)
            assert stranger.poll() is None
        stranger.kill()
    assert not process.is_alive(real)


def test_identity_does_not_follow_the_clock() -> None:
    """psutil adds the boot time, which moves when the clock is set; ours is counted from boot."""
    uptime = float(Path("/proc/uptime").read_text().split()[0])
    assert 0 < process.identity_of(os.getpid(), "").started <= uptime


def test_a_process_is_found_by_its_nonce_the_parent_first(log: Path, nonce: str) -> None:
    assert process.find_by_nonce(nonce) is None and process.find_by_nonce("") is None
    identity = process.start_detached([sys.executable, "-c", FAMILY], log, nonce)
    assert process.wait_until(lambda: log.read_text() == "ready\n", 30)
    assert process.find_by_nonce(nonce) == identity
    assert process.family_memory_bytes(identity) > 2**20


def test_a_helper_is_offline_and_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    environment = process.helper_environment(threads=3)
    assert environment["OMP_NUM_THREADS"] == "3"
    assert environment["HF_HUB_OFFLINE"] == environment["TRANSFORMERS_OFFLINE"] == "1"


def test_a_packaged_program_starts_helpers_outside_its_bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "Whetstone"))
    monkeypatch.setenv("LD_LIBRARY_PATH", "/bundle")
    monkeypatch.setenv("LD_LIBRARY_PATH_ORIG", "/usr/lib/mine")
    environment = process.helper_environment()
    assert environment["LD_LIBRARY_PATH"] == "/usr/lib/mine" and "LD_LIBRARY_PATH_ORIG" not in environment
    assert environment["PYINSTALLER_RESET_ENVIRONMENT"] == "1"
    monkeypatch.delenv("LD_LIBRARY_PATH_ORIG")
    assert "LD_LIBRARY_PATH" not in process.helper_environment()
    assert process.own_command("--worker", "x") == [str(tmp_path / "Whetstone"), "--worker", "x"]
    (tmp_path / "whetstone-cli").touch()
    assert process.worker_command("finetune", Path("x")) == [str(tmp_path / "whetstone-cli"), "--worker", "x"]


def test_only_the_worker_that_was_started_last_belongs_to_a_job(tmp_path: Path) -> None:
    folder = JobFolder(tmp_path)
    assert folder.belongs_to("") and not folder.belongs_to("a")
    folder.write_process(process.identity_of(os.getpid(), "a"))
    assert folder.belongs_to("") and folder.belongs_to("a") and not folder.belongs_to("b")
