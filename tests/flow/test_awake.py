"""The system's real inhibitor is held while a job is at work and free afterwards, whatever ends.

systemd-inhibit is the real one; systemd-logind behind it is a fake on a private bus.
"""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from desktop_app.domain.job import JobState
from desktop_app.hardware.awake import AwakeLock
from desktop_app.jobs import submit
from desktop_app.paths import settings_dir
from desktop_app.process import wait_until
from desktop_app.settings import Settings, write_settings
from tests.flow.bench import Bench

LOGIN1 = Path(__file__).parents[1] / "fakes" / "login1.py"
HELD = "held sleep:idle block by Whetstone"
pytestmark = pytest.mark.skipif(
    not (shutil.which("systemd-inhibit") and shutil.which("dbus-daemon")), reason="needs systemd-inhibit, dbus-daemon"
)


@pytest.fixture
def journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The file in which the fake logind notes who holds and frees."""
    address, journal = f"unix:path={tmp_path / 'bus'}", tmp_path / "journal"
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", address)
    config = tmp_path / "bus.conf"
    config.write_text(
        f"<busconfig><listen>{address}</listen><auth>EXTERNAL</auth><policy context='default'><allow user='*'/>"
        "<allow own='*'/><allow send_destination='*'/><allow receive_sender='*'/></policy></busconfig>"
    )
    daemon = subprocess.Popen(["dbus-daemon", f"--config-file={config}", "--nofork"])
    assert wait_until(lambda: (tmp_path / "bus").exists(), 10)
    login1 = subprocess.Popen([sys.executable, str(LOGIN1), address, str(journal)])
    assert wait_until(lambda: lines(journal) == ["ready"], 20)
    yield journal
    for server in (login1, daemon):
        server.terminate()
        server.wait()


def lines(journal: Path) -> list[str]:
    return journal.read_text().splitlines() if journal.exists() else []


def test_the_lock_is_held_once_and_freed(journal: Path) -> None:
    with AwakeLock() as lock:
        lock.set(True)
        lock.set(True)
        assert wait_until(lambda: lines(journal)[1:] == [HELD], 10)
    assert wait_until(lambda: lines(journal)[1:] == [HELD, "free"], 10)


def test_a_job_keeps_the_computer_awake_but_a_paused_one_does_not(bench: Bench, journal: Path) -> None:
    job_id = bench.submit("steps=100000")
    assert wait_until(lambda: lines(journal)[1:] == [HELD], 30)
    submit.pause(job_id)
    assert wait_until(lambda: lines(journal)[1:] == [HELD, "free"], 30)
    submit.resume(job_id)
    assert wait_until(lambda: lines(journal)[1:] == [HELD, "free", HELD], 30)
    bench.kill_supervisor()  # nobody can free it now but the system
    assert wait_until(lambda: lines(journal)[-1] == "free", 10)
    submit.cancel(job_id)


def test_the_setting_switches_it_off(bench: Bench, journal: Path) -> None:
    settings = Settings({})
    settings.keep_awake = False
    settings_dir().mkdir(parents=True)
    write_settings(settings_dir(), settings.values)
    assert bench.until_ended(bench.submit("steps=60")).state is JobState.SUCCEEDED
    assert lines(journal) == ["ready"]


def test_without_a_way_to_do_it_jobs_run_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with AwakeLock() as lock:
        lock.set(True)
        lock.set(False)
