"""What Windows does differently and can be tried on any system: names, open files, no terminal, parents, trees."""

import multiprocessing
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import psutil
import pytest

from desktop_app import durable_file, process
from desktop_app.domain.spec import parse_spec
from desktop_app.domain.value import Value
from desktop_app.durable_file import write_private, write_synced
from desktop_app.errors import StorageError
from desktop_app.job_folder import create_job_folder
from desktop_app.paths import name_problem, portable_name, program_root
from desktop_app.result_folder import ResultFolder, copy_result

DEVICES = ["CON", "nul", "Aux.txt", "COM1", "lpt9.tar.gz", "COM¹", "prn .log"]


@pytest.mark.parametrize("name", [*DEVICES, "ends with a dot.", "ends with a space ", "a:b", "what?", "tab\tin it"])
def test_a_name_that_windows_cannot_have_is_told_there(name: str) -> None:
    assert repr(name)[1:-1].split("\\")[0] in name_problem(Path("folder") / name, on_windows=True)
    assert name_problem(Path("folder") / name, on_windows=False) == ""


@pytest.mark.parametrize("name", ["console", "my model", "COM10", "mein schönes Modell", ".hidden", "a.b.c"])
def test_any_other_name_is_free(name: str) -> None:
    assert name_problem(Path("folder") / name, on_windows=True) == ""


def test_a_name_too_long_for_any_disk_is_told_everywhere(tmp_path: Path) -> None:
    for on_windows in (True, False):
        assert "300 characters" in name_problem(tmp_path / ("x" * 300), on_windows)
        assert "128 characters" in name_problem(tmp_path / ("ü" * 128), on_windows)


@pytest.mark.parametrize("text", [*DEVICES, "", "...", "a/b\\c:d*e", "x" * 400, "ü" * 400, "\ud800", "line\nbreak "])
def test_names_that_we_make_may_stand_on_every_system(text: str, tmp_path: Path) -> None:
    made = tmp_path / portable_name(text)
    assert name_problem(made, on_windows=True) == ""
    made.mkdir()
    assert made.parent == tmp_path and len(made.name.encode()) <= 121


class _HeldOpen:
    """Refuses to move anything as Windows does while somebody reads it: `times` times."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, times: int, winerror: int = 32) -> None:
        self.left, self.winerror = times, winerror
        plain = Path.replace

        def replace(path: Path, target: Any) -> Path:
            if self.left > 0:
                self.left -= 1
                refused = PermissionError(13, "The process cannot access the file", str(path))
                refused.winerror = self.winerror  # type: ignore[attr-defined]
                raise refused
            return plain(path, target)

        monkeypatch.setattr(Path, "replace", replace)


@pytest.mark.parametrize("winerror", [5, 32])
def test_a_file_that_is_read_just_now_is_replaced_a_moment_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, winerror: int
) -> None:
    file = tmp_path / "outcome.json"
    file.write_text("old")
    for write in (write_synced, write_private):
        held = _HeldOpen(monkeypatch, times=5, winerror=winerror)
        write(file, write.__name__)
        assert file.read_text() == write.__name__ and held.left == 0


def test_a_file_that_stays_open_is_an_error_and_the_old_one_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "outcome.json"
    file.write_text("old")
    monkeypatch.setattr(durable_file, "_PATIENCE_S", 0.05)
    _HeldOpen(monkeypatch, times=10**6)
    with pytest.raises(PermissionError):
        write_synced(file, "new")
    assert file.read_text() == "old"


def test_a_folder_that_may_not_be_written_is_told_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held = _HeldOpen(monkeypatch, times=10**6, winerror=0)
    with pytest.raises(PermissionError):
        write_synced(tmp_path / "outcome.json", "new")
    assert held.left == 10**6 - 1, "it tried again"


def test_jobs_and_results_get_their_names_though_a_scanner_looks_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = parse_spec({"kind": "quantize", "model": "m"})
    _HeldOpen(monkeypatch, times=6)
    assert create_job_folder(tmp_path / "jobs", "one", spec).read_spec() == spec
    result = ResultFolder(tmp_path / "result", "one")
    (result.part / "weights").write_bytes(b"w")
    _HeldOpen(monkeypatch, times=6)
    assert (result.finish({}, lambda part: None) / "weights").read_bytes() == b"w"
    _HeldOpen(monkeypatch, times=6)
    assert copy_result(tmp_path / "result", tmp_path / "copy", lambda done, total: True)
    monkeypatch.setattr(durable_file, "_PATIENCE_S", 0.05)
    held = _HeldOpen(monkeypatch, times=10**6)
    with pytest.raises(StorageError, match="cannot be copied"):
        copy_result(tmp_path / "result", tmp_path / "again", lambda done, total: True)
    held.left = 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copy", "jobs", "result"]


# A program without a terminal has neither stdout nor stderr on Windows: whatever prints must not end it.
NO_TERMINAL = """
import sys
sys.stdout = sys.stderr = None
sys.path.insert(0, {root!r})
sys.argv = ["main.py", *{arguments!r}]
import runpy
try:
    runpy.run_path({main!r}, run_name="__main__")
except SystemExit as end:
    open({told!r}, "w").write(str(end.code))
"""


@pytest.mark.parametrize(
    ("arguments", "code"),
    [(["jobs"], "0"), (["show", "none"], "2"), (["run", "no such file"], "2"), (["--supervise"], "0")],
)
def test_nothing_fails_without_stdout(data_dir: Path, tmp_path: Path, arguments: list[str], code: str) -> None:
    told, root = tmp_path / "told", str(program_root())
    script = NO_TERMINAL.format(root=root, main=str(Path(root) / "main.py"), arguments=arguments, told=str(told))
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
    assert told.read_text() == code


def test_a_tree_is_ended_without_a_signal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows knows no SIGTERM: `terminate` there is the hard end, so that a grace must not be tried with it."""
    code = textwrap.dedent("""
        import signal, subprocess, sys, time
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        print("ready", flush=True); time.sleep(600)
    """)
    log = tmp_path / "console.log"
    identity = process.start_detached([sys.executable, "-c", code], log, "windows-tree")
    assert process.wait_until(lambda: log.read_text() == "ready\n", 30)

    def refuse(*_: object) -> None:
        raise AssertionError("a signal was sent")

    with monkeypatch.context() as as_on_windows:
        as_on_windows.setattr(process, "_has_signals", lambda: False)
        as_on_windows.setattr(psutil.Process, "terminate", refuse)
        as_on_windows.setattr(psutil.Process, "send_signal", refuse)
        process.end_tree(identity, grace_s=30)
    assert process._with_nonce("windows-tree") == []


def _orphaned(pid_file: str) -> None:
    """Runs in a spawned child: what the window's process does to notice the end of its parent."""
    import threading
    import time

    from desktop_app.native import hook

    os.getppid = lambda: 4711  # as on Windows: it stays what it was
    threading.Thread(target=hook._end_with_parent, daemon=True).start()
    Path(pid_file).write_text(str(os.getpid()))
    time.sleep(600)


def test_an_orphan_notices_though_its_parents_pid_never_changes(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    code = textwrap.dedent(f"""
        import multiprocessing, sys, time
        sys.path.insert(0, {str(program_root())!r})
        from tests.unit.test_windows import _orphaned
        if __name__ == "__main__":
            child = multiprocessing.get_context("spawn").Process(target=_orphaned, args=[{str(pid_file)!r}])
            child.start()
            time.sleep(600)
    """)
    script = tmp_path / "parent.py"
    script.write_text(code)
    with subprocess.Popen([sys.executable, str(script)]) as parent:
        try:
            assert process.wait_until(lambda: pid_file.exists() and pid_file.read_text(), 60)
            child = psutil.Process(int(pid_file.read_text()))
        finally:
            parent.kill()
    assert child.pid != parent.pid
    psutil.wait_procs([child], timeout=20)
    assert not child.is_running()


def test_what_travels_to_another_process_can_be_pickled() -> None:
    """Where there is only spawn, specs and the window's hook go there pickled."""
    import pickle

    spec: Value = parse_spec({"kind": "finetune", "model": "m", "data": "d"})
    assert pickle.loads(pickle.dumps(spec)) == spec
    assert "spawn" in multiprocessing.get_all_start_methods()
