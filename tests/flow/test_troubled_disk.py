"""A disk that is full or refuses: the queue goes on, ends are written when it recovers, nothing is made up."""

import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from desktop_app.domain.job import JobState
from desktop_app.domain.spec import parse_spec
from desktop_app.job_folder import create_job_folder
from desktop_app.jobs.supervisor import Supervisor
from desktop_app.os_lock import OsLock
from desktop_app.paths import index_file, jobs_dir, supervisor_lock
from desktop_app.storage.index import Index
from tests.flow.bench import Bench

ROOT = Path(__file__).parents[2]
SMALL_DISK = 'mount -t tmpfs -o size=3m tmpfs "$0" && exec "$@"'


def test_an_end_that_cannot_be_written_is_written_later_and_blocks_nothing(bench: Bench) -> None:
    first = create_job_folder(jobs_dir(), "20260101-000000-a-0000", parse_spec(bench.spec("steps=2")))
    obstacle = first.path / f".outcome.json.{os.getpid()}.tmp"  # where this process writes it at first
    obstacle.mkdir()
    second = create_job_folder(jobs_dir(), "20260101-000001-b-0000", parse_spec(bench.spec("steps=2")))
    with OsLock(supervisor_lock()) as lock:
        assert lock.acquire()
        thread = threading.Thread(target=Supervisor(lock, Index(index_file()), jobs_dir()).run)
        thread.start()
        bench.until(lambda: second.has_outcome, "the second job ends")
        assert bench.state(first.id) is JobState.SUCCEEDED and not first.has_outcome
        obstacle.rmdir()
        thread.join(60)
        assert not thread.is_alive()
    assert first.read_outcome().state is JobState.SUCCEEDED
    assert len([event for event in first.read_events().events if event.kind == "started"]) == 1


def _can_mount(folder: Path) -> bool:
    if shutil.which("unshare") is None:
        return False
    return (
        subprocess.run(["unshare", "-rm", "sh", "-c", SMALL_DISK, str(folder), "true"], capture_output=True).returncode
        == 0
    )


def test_a_full_disk(tmp_path: Path) -> None:
    disk, place = tmp_path / "disk", tmp_path / "place"
    disk.mkdir()
    place.mkdir()
    if not _can_mount(disk):
        pytest.skip("this system lets nobody mount a small disk")
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", SMALL_DISK, str(disk), sys.executable, "-m", "tests.flow.full_disk", str(place)],
        env={**os.environ, "WHETSTONE_DATA_DIR": str(disk / "data")},
        cwd=ROOT, capture_output=True, text=True, timeout=240,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert ("cannot be" in found["refusal"] and "No space left" in found["refusal"]) or "full" in found["refusal"]
    assert not found["had_outcome_while_full"]
    assert found["state"] == found["outcome"] == "interrupted"
    assert found["paused"] == "paused" and not found["outcome_while_paused"], found
    assert "disk full" in found["said"] and "bytes" in found["said"] and "last checkpoint" in found["said"]
    assert "step-2" in found["kept"] and found["paused_ended"] == "succeeded" and found["starts"] == 2, found
    assert found["before"] == "succeeded" and found["after_succeeded"]
