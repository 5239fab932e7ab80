"""The program from a terminal: real processes, exit codes, words, JSON."""

import json
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from desktop_app import process
from desktop_app.commands import run_command
from desktop_app.domain.job import JobState
from desktop_app.job_folder import job_folders
from desktop_app.paths import jobs_dir
from tests.flow.bench import Bench

MAIN = Path(__file__).parents[2] / "main.py"


def program(*arguments: str, folder: Path | None = None) -> "subprocess.CompletedProcess[str]":
    done = subprocess.run(
        [sys.executable, str(MAIN), *arguments], capture_output=True, text=True, cwd=folder, timeout=90
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done


class Called:
    """A command in this process, which saves the start of one, told as `program` tells it."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        self._capsys.readouterr()
        try:
            code = run_command(list(arguments))
        except SystemExit as left:  # argparse, after its help
            code = int(left.code or 0)
        said = self._capsys.readouterr()
        return subprocess.CompletedProcess(arguments, code, said.out, said.err)


def spec_file(bench: Bench, behaviour: str, **fields: Any) -> str:
    file = bench.data.parent / "spec ü.json"
    file.write_text(json.dumps({**bench.spec(behaviour), "model": "model", "data": "rows.jsonl", **fields}))
    return str(file)


def test_run_follows_a_job_to_its_end(bench: Bench) -> None:
    done = program("run", spec_file(bench, "steps=4 step_s=0.1"), folder=bench.data.parent)
    assert done.returncode == 0, done.stderr
    assert "step 4/4" in done.stdout and "loss 0.75" in done.stdout and "step/s" in done.stdout
    assert "Ended well" in done.stdout and "Final loss: 0.5" in done.stdout
    assert done.stderr == ""


def test_run_prints_every_event_as_json_and_the_job_last(bench: Bench) -> None:
    done = program("run", spec_file(bench, "steps=3"), "--json", folder=bench.data.parent)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["kind"] for line in lines] == ["submitted", "started", *["progress", "metric"] * 3, "succeeded", "job"]
    assert lines[-1]["job"]["state"] == "succeeded" and lines[-1]["job"]["id"] == lines[0]["id"]


@pytest.mark.parametrize(
    ("behaviour", "code", "words"),
    [
        ("end=fail at=2", 2, "Line 7 holds no text.\nMend line 7."),
        ("end=fail at=2 error=bug", 1, "Line 7 holds no text."),
        ("end=segv at=2", 2, "SIGSEGV"),
    ],
)
def test_a_job_that_does_not_succeed_says_why(bench: Bench, behaviour: str, code: int, words: str) -> None:
    done = program("run", spec_file(bench, behaviour), folder=bench.data.parent)
    assert done.returncode == code and words in done.stderr


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"learning_rat": 1}, "learning_rat: a finetune spec has no such field.\nDid you mean 'learning_rate'?"),
        ({"learning_rate": -1}, "learning_rate: -1 is not allowed"),
        ({"model": "nowhere"}, "nowhere does not exist"),
        ({"kind": "bake"}, "'bake' is no kind of job"),
    ],
)
def test_a_wrong_spec_is_refused_in_words_and_nothing_is_kept(bench: Bench, change: dict[str, Any], words: str) -> None:
    file = spec_file(bench, "", **change)
    started = time.monotonic()
    done = program("run", file, folder=bench.data.parent)
    assert done.returncode == 2 and words in done.stderr and done.stdout == ""
    assert time.monotonic() - started < 20
    as_json = program("run", file, "--json", folder=bench.data.parent)
    assert as_json.returncode == 2 and json.loads(as_json.stdout)["error"] == "spec"
    assert not jobs_dir().exists()


def test_a_spec_that_is_no_json_or_not_there(bench: Bench) -> None:
    file = bench.data.parent / "spec.json"
    file.write_text('{"kind": "finetune",')
    assert "is not JSON (line 1" in program("run", str(file)).stderr
    assert "cannot be read" in program("run", str(file) + "x").stderr
    assert program("run", str(file.parent)).returncode == 2


def test_ctrl_c_cancels(bench: Bench) -> None:
    started = subprocess.Popen(
        [sys.executable, str(MAIN), "run", spec_file(bench, "steps=10000")],
        cwd=bench.data.parent, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        # Tests that run in the background of a shell inherit an ignored Ctrl+C; a terminal's program does not.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    with started:
        assert started.stdout is not None
        bench.until(lambda: list(job_folders(jobs_dir())), "the job is handed in")
        job_id = next(job_folders(jobs_dir())).id
        bench.until_step(job_id, 2)
        started.send_signal(signal.SIGINT)
        output, errors = started.communicate(timeout=60)
    assert started.returncode == 130, errors
    assert "Cancelling" in output and "Was cancelled by you" in errors and "Traceback" not in errors
    assert bench.until_ended(job_id).state is JobState.CANCELLED


def test_a_bar_is_drawn_on_a_terminal(bench: Bench) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, str(MAIN), "run", spec_file(bench, "steps=4 step_s=0.2")]
    with subprocess.Popen(command, cwd=bench.data.parent, stdout=theirs, stderr=theirs) as started:
        os.close(theirs)
        output = b""
        while True:
            try:
                output += os.read(ours, 4096)
            except OSError:
                break
    os.close(ours)
    assert started.returncode == 0
    assert b"[######------------------]  25%" in output and b"\r" in output


def test_history_commands(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    called = Called(capsys)
    assert json.loads(program("jobs", "--json").stdout) == []
    job_id = bench.submit("steps=2")
    bench.until_ended(job_id)
    assert job_id in called("jobs").stdout
    assert json.loads(called("jobs", "--json").stdout)[0]["state"] == "succeeded"
    shown = json.loads(called("show", job_id[:-2], "--json").stdout)
    assert shown["id"] == job_id and shown["spec"]["kind"] == "finetune"
    assert "Ended well; its result was verified." in called("show", job_id).stdout
    for arguments in (("show", "9999"), ("cancel", job_id), ("resume", job_id), ("continue", job_id)):
        done = called(*arguments)
        assert done.returncode == 2 and job_id in done.stderr + job_id * (arguments[1] == "9999")
    other = bench.submit("steps=10000")
    done = called("show", job_id[:4])
    assert done.returncode == 2 and "2 jobs begin with" in done.stderr
    bench.until_step(other, 1)
    assert called("pause", other).returncode == 0
    bench.until_state(other, JobState.PAUSED)
    assert called("resume", other).returncode == 0
    bench.until_state(other, JobState.RUNNING)
    assert "is asked to end" in called("cancel", other).stdout
    bench.until_ended(other)
    said = json.loads(called("compare", job_id, other, "--json").stdout)
    assert said["jobs"] == [job_id, other] and said["settings"] == [], "only their names differ"
    assert job_id in called("compare", job_id, other).stdout
    done = called("compare", job_id, job_id)
    assert done.returncode == 2 and "1 job cannot be compared" in done.stderr
    assert called("delete", other).returncode == 0
    assert bench.row(other) is None


def test_inspect(bench: Bench) -> None:
    model = json.loads(program("inspect", str(bench.model), "--json").stdout)
    assert {"architecture", "parameters", "dtype", "quantization"} <= model.keys()
    assert model["architecture"] == "LlamaForCausalLM" and model["parameters"] > 0
    bench.data.write_text('{"prompt": "a", "completion": "b"}\n{"prompt": \n{"prompt": "c", "completion": "d"}\n')
    data = json.loads(program("inspect", str(bench.data), "--json").stdout)
    assert (data["layout"], data["rows"]) == ("prompt_completion", 2)
    assert data["bad_rows"][0]["line"] == 2
    assert "LlamaForCausalLM" in program("inspect", str(bench.model)).stdout
    assert "line 2:" in program("inspect", str(bench.data)).stdout
    bench.data.write_bytes(b"")
    for path in (bench.data, bench.data.parent / "none", bench.data.parent):
        done = program("inspect", str(path))
        assert done.returncode == 2 and done.stderr.strip()


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    called = Called(capsys)
    text = called("--help").stdout
    for command in ("run", "jobs", "show", "inspect", "selftest", "pause", "resume", "stop", "cancel"):
        assert command in text
        assert "usage: whetstone" in called(command, "--help").stdout
    assert program("nonsense").returncode == 2


def test_a_reader_that_leaves_is_no_error(bench: Bench) -> None:
    file = spec_file(bench, "steps=3")
    command = [sys.executable, str(MAIN), "run", file]
    with subprocess.Popen(command, cwd=bench.data.parent, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as started:
        assert started.stdout is not None and started.stderr is not None
        started.stdout.close()
        assert b"Traceback" not in started.stderr.read()
    assert process.wait_until(lambda: all(folder.has_outcome for folder in job_folders(jobs_dir())), 60)
