"""The system's real inhibitor is held while a job is at work and free afterwards, whatever ends.

systemd-inhibit is the real one; systemd-logind behind it is a fake on a private bus.
"""

import shutil
import subprocess
import sys
import time
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
HELD, FREE = "held sleep:idle block by Whetstone", "free sleep:idle block"
DELAYED, SLEEPS = "held sleep delay by Whetstone", "free sleep delay"
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
    assert wait_until(lambda: journal.exists() and "ready" in journal.read_text(), 20)
    yield journal
    for server in (login1, daemon):
        server.terminate()
        server.wait()


def lines(journal: Path, kind: str = "block") -> list[str]:
    return [line for line in journal.read_text().splitlines() if kind in line]


def announce(journal: Path, falls_asleep: bool) -> None:
    aside = journal.with_name("sleep.part")
    aside.write_text(str(int(falls_asleep)))
    aside.rename(journal.with_name("sleep"))


def test_the_lock_is_held_once_and_freed(journal: Path) -> None:
    with AwakeLock() as lock:
        lock.set(True)
        lock.set(True)
        assert wait_until(lambda: lines(journal) == [HELD], 10)
    assert wait_until(lambda: lines(journal) == [HELD, FREE], 10)


def test_a_job_keeps_the_computer_awake_but_a_paused_one_does_not(bench: Bench, journal: Path) -> None:
    job_id = bench.submit("steps=100000")
    assert wait_until(lambda: lines(journal) == [HELD], 30)
    submit.pause(job_id)
    assert wait_until(lambda: lines(journal) == [HELD, FREE], 30)
    submit.resume(job_id)
    assert wait_until(lambda: lines(journal) == [HELD, FREE, HELD], 30)
    bench.kill_supervisor()  # nobody can free it now but the system
    assert wait_until(lambda: lines(journal)[-1] == FREE, 10)
    submit.cancel(job_id)


def test_the_setting_switches_it_off(bench: Bench, journal: Path) -> None:
    settings = Settings({})
    settings.keep_awake = False
    settings_dir().mkdir(parents=True)
    write_settings(settings_dir(), settings.values)
    assert bench.until_ended(bench.submit("steps=60")).state is JobState.SUCCEEDED
    assert lines(journal) == []


def test_without_a_way_to_do_it_jobs_run_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with AwakeLock() as lock:
        lock.set(True)
        lock.set(False)


def test_before_sleep_a_checkpoint_is_written_and_then_the_system_may_sleep(bench: Bench, journal: Path) -> None:
    job_id = bench.submit("steps=100000 step_s=0.02")
    bench.until_step(job_id, 5)
    assert wait_until(lambda: lines(journal, "delay") == [DELAYED], 10)
    announce(journal, falls_asleep=True)
    assert wait_until(lambda: lines(journal, "delay") == [DELAYED, SLEEPS], 10)
    assert list((bench.folder(job_id).path / "checkpoints").iterdir()), "it was allowed to sleep before the checkpoint"
    announce(journal, falls_asleep=False)
    assert wait_until(lambda: lines(journal, "delay") == [DELAYED, SLEEPS, DELAYED], 10)
    step = bench.row(job_id).done
    bench.until_step(job_id, int(step) + 5)
    submit.cancel(job_id)
    assert bench.until_ended(job_id).state is JobState.CANCELLED


def test_a_whole_tree_that_stood_still_is_not_interrupted(bench: Bench, journal: Path) -> None:
    """What sleep does to processes: nobody runs, then everybody goes on."""
    job_id = bench.submit("steps=100000 step_s=0.02")
    bench.until_step(job_id, 3)
    tree = [bench.supervisor(), bench.worker(job_id)]
    for member in tree:
        member.suspend()
    time.sleep(2)
    for member in tree:
        member.resume()
    step = bench.row(job_id).done
    bench.until_step(job_id, int(step) + 5)
    assert bench.state(job_id) is JobState.RUNNING
    submit.cancel(job_id)


def test_quiet_hours_hold_a_running_and_a_waiting_job_until_they_are_over(bench: Bench) -> None:
    running, waiting = bench.submit("steps=100000 step_s=0.02"), bench.submit("steps=3")
    bench.until_step(running, 2)
    set_quiet_hours(0, 24 * 60 - 1)
    row = bench.until_state(running, JobState.PAUSED)
    bench.until(lambda: "quiet hours" in bench.row(running).stage, "it says why")
    submit.cancel(running)
    bench.until_ended(running)
    bench.until(lambda: "Waits: quiet hours" in bench.row(waiting).stage, "the other one says why")
    assert row.done < 100000 and bench.state(waiting) is JobState.QUEUED
    submit.resume(waiting)
    assert bench.until_ended(waiting).state is JobState.SUCCEEDED


def set_quiet_hours(start: int, end: int) -> None:
    settings = Settings({})
    settings.has_quiet_hours, settings.quiet_hours = True, (start, end)
    settings_dir().mkdir(parents=True, exist_ok=True)
    write_settings(settings_dir(), settings.values)
