"""A place to try jobs: hands in fake ones, waits for what comes, looks at rows, folders and processes."""

import time
from collections.abc import Callable
from pathlib import Path

import psutil

from desktop_app import process
from desktop_app.domain.job import Job, JobState
from desktop_app.domain.spec import parse_spec
from desktop_app.job_folder import JobFolder
from desktop_app.jobs import submit
from desktop_app.paths import index_file, jobs_dir, supervisor_lock
from desktop_app.storage.index import Index
from tests.conftest import processes_of
from tests.fakes.model_files import write_llama

FAKE_WORKER = Path(__file__).parents[1] / "fakes" / "fake_worker.py"
PATIENCE_S = 60.0


class Bench:
    """One data folder. `behaviour` is what the fake worker's docstring describes."""

    def __init__(self, data_dir: Path, place: Path, set_variable: Callable[[str, str], object]) -> None:
        self.data_dir = data_dir
        self.model = write_llama(place / "model")
        self.data = place / "rows.jsonl"
        self.data.write_text('{"text": "a"}\n')
        set_variable("WHETSTONE_FAKE_WORKER", str(FAKE_WORKER))

    def spec(self, behaviour: str = "", **fields: object) -> dict[str, object]:
        return {"kind": "finetune", "model": str(self.model), "data": str(self.data), "name": behaviour, **fields}

    def submit(self, behaviour: str = "", **fields: object) -> str:
        return submit.submit(parse_spec(self.spec(behaviour, **fields)))

    def folder(self, job_id: str) -> JobFolder:
        return JobFolder(jobs_dir() / job_id)

    def row(self, job_id: str) -> Job | None:
        return Index(index_file()).job(job_id)

    def state(self, job_id: str) -> JobState | None:
        row = self.row(job_id)
        return None if row is None else row.state

    def until(self, condition: Callable[[], object], what: str, patience_s: float = PATIENCE_S) -> None:
        assert process.wait_until(condition, patience_s), f"never: {what}\n{self.supervisor_log()}"

    def until_state(self, job_id: str, *states: JobState) -> Job:
        self.until(lambda: self.state(job_id) in states, f"{job_id} is {states}, it is {self.state(job_id)}")
        row = self.row(job_id)
        assert row is not None
        return row

    def until_step(self, job_id: str, step: int) -> None:
        self.until(lambda: (row := self.row(job_id)) is not None and row.done >= step, f"{job_id} reaches step {step}")

    def until_ended(self, job_id: str) -> Job:
        return self.until_state(job_id, *(state for state in JobState if state.is_terminal))

    def until_quiet(self) -> None:
        self.until(lambda: not self.processes(), f"no process is left: {self.processes()}")

    def processes(self) -> list[psutil.Process]:
        return processes_of(self.data_dir)

    def worker(self, job_id: str) -> psutil.Process:
        """The worker's process, once it has said that it began."""
        self.until(lambda: b'"started"' in _content(self.folder(job_id).events_file), f"{job_id} starts")
        self.until(lambda: (found := self.folder(job_id).read_process()) and found.pid, f"{job_id} is noted")
        identity = self.folder(job_id).read_process()
        assert identity is not None
        return psutil.Process(identity.pid)

    def supervisor(self) -> psutil.Process:
        """The process that holds the lock."""
        self.until(lambda: self.supervisor_pid() is not None, "a supervisor holds the lock")
        pid = self.supervisor_pid()
        assert pid is not None
        return psutil.Process(pid)

    def supervisor_pid(self) -> int | None:
        """The pid noted in the lock's file, if that process runs still."""
        text = _content(supervisor_lock()).decode().strip()
        return int(text) if text and psutil.pid_exists(int(text)) else None

    def kill_supervisor(self) -> None:
        holder = self.supervisor()
        holder.kill()
        gone_by = time.monotonic() + PATIENCE_S
        while holder.is_running() and holder.status() != psutil.STATUS_ZOMBIE and time.monotonic() < gone_by:
            time.sleep(0.01)

    def supervisor_log(self) -> str:
        return _content(self.data_dir / "logs" / "supervisor.log").decode()[-6000:]


def _content(file: Path) -> bytes:
    return file.read_bytes() if file.exists() else b""
