"""Kill workers and supervisors at seeded random moments in one data folder, then judge what is left.

    python -m tests.flow.kill_storm SEED KILLS      (WHETSTONE_DATA_DIR set)

A program of its own, so that several data folders can be stormed at once. Prints what it found as JSON.
"""

import contextlib
import json
import os
import random
import sqlite3
import sys
import time
from pathlib import Path

import psutil

from desktop_app import process
from desktop_app.domain.job import JobState
from desktop_app.job_folder import job_folders
from desktop_app.jobs import submit
from desktop_app.paths import index_file, jobs_dir
from desktop_app.result_folder import manifest_problems
from desktop_app.storage.index import Index
from tests.flow.bench import Bench

BEHAVIOURS = (
    "steps=12 step_s=0.03",
    "steps=12 step_s=0.03 children=2",
    "steps=4 checkpoint=2",
    "steps=6 end=fail at=3",
)
LAST = "steps=4"
GATHERING_S = 60.0
STARTING_S = 20.0


def storm(bench: Bench, seed: int, kills: int) -> dict[str, object]:
    """Keep two jobs in the queue while killing; then the queue is worked off, and one more job in peace."""
    chance = random.Random(seed)
    submitted: list[str] = []
    killed = {"worker": 0, "supervisor": 0}
    while sum(killed.values()) < kills:
        if len([folder for folder in job_folders(jobs_dir()) if not folder.has_outcome]) < 2:
            submitted.append(bench.submit(chance.choice(BEHAVIOURS)))
        target = chance.choices(("worker", "supervisor"), (1, 3))[0]
        if target == "worker":
            # Without waiting for one, a slow computer would only ever lose supervisors that were still starting.
            submit.ensure_supervisor()
            process.wait_until(lambda: _worker_pid() is not None, STARTING_S)
        time.sleep(chance.uniform(0, 0.5))
        if _kill(bench, _worker_pid() if target == "worker" else bench.supervisor_pid()):
            killed[target] += 1
        if chance.random() < 0.8:
            submit.ensure_supervisor()
    submitted.append(bench.submit(LAST))
    submit.ensure_supervisor()
    process.wait_until(lambda: all(folder.has_outcome for folder in job_folders(jobs_dir())), GATHERING_S)
    process.wait_until(lambda: not bench.processes(), GATHERING_S)
    return {**killed, **judged(bench, submitted)}


def judged(bench: Bench, submitted: list[str]) -> dict[str, object]:
    """Compare what was handed in with rows, folders and processes."""
    rows = {row.id: row for row in Index(index_file()).jobs()}
    false_ends = []
    for job_id in submitted:
        folder, row = bench.folder(job_id), rows.get(job_id)
        events = folder.read_events().events
        last = events[-1].kind if events else ""
        has_result = manifest_problems(folder.path / "result") == []
        state = row.state if row is not None else None
        starts = len([event for event in events if event.kind == "started"])
        is_right = (
            starts <= 1
            and folder.read_outcome() is not None
            and folder.read_outcome().state is state
            and (state is JobState.SUCCEEDED) == (last == "succeeded" and has_result)
            and (state is JobState.FAILED) == (last == "failed")
        )
        if not is_right:
            false_ends.append(f"{job_id}: {state}, last event {last!r}, {starts} starts, result {has_result}")
    states = [row.state.value for row in rows.values()]
    return {
        "jobs": len(submitted),
        "lost_rows": sorted(set(submitted) - set(rows)),
        "false_ends": false_ends,
        "orphans": [" ".join(one.cmdline()) for one in bench.processes()],
        "last": rows[submitted[-1]].state.value if submitted[-1] in rows else None,
        "states": {state: states.count(state) for state in sorted(set(states))},
        "integrity": _integrity(),
    }


def _worker_pid() -> int | None:
    identities = [folder.read_process() for folder in job_folders(jobs_dir()) if not folder.has_outcome]
    return next((one.pid for one in identities if one is not None and process.is_alive(one)), None)


def _kill(bench: Bench, pid: int | None) -> bool:
    """Kill a process of the data folder; False if it is none, or gone."""
    with contextlib.suppress(psutil.Error):
        if pid is not None and any(one.pid == pid for one in bench.processes()):
            psutil.Process(pid).kill()
            return True
    return False


def _integrity() -> str:
    connection = sqlite3.connect(index_file())
    try:
        return str(connection.execute("PRAGMA integrity_check").fetchone()[0])
    finally:
        connection.close()


if __name__ == "__main__":
    root = Path(os.environ["WHETSTONE_DATA_DIR"])
    root.parent.mkdir(parents=True, exist_ok=True)
    found = storm(Bench(root, root.parent, os.environ.__setitem__), int(sys.argv[1]), int(sys.argv[2]))
    print(json.dumps(found))
