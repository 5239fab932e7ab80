"""A job that asks for it is followed by its evaluation, once, and no other job is."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from desktop_app.domain.evaluate_spec import EvaluateSpec
from desktop_app.domain.job import JobState
from desktop_app.domain.spec import parse_spec
from desktop_app.job_folder import JobFolder, create_job_folder, job_folders
from desktop_app.jobs.follow_up import evaluation_of, queue_evaluation
from desktop_app.jobs.row import row_from_folder

TUNING: dict[str, Any] = {"kind": "finetune", "model": "/m", "data": "/d.jsonl", "measure_result": True}


def job(jobs: Path, **spec: Any) -> JobFolder:
    return create_job_folder(jobs, "20260101-000000-tiny-0000", parse_spec(spec))


def ended(folder: JobFolder, state: JobState = JobState.SUCCEEDED) -> None:
    queue_evaluation(folder, replace(row_from_folder(folder), state=state, result=str(folder.path / "result")))


def test_a_tuning_is_measured_on_its_held_out_rows_once(tmp_path: Path) -> None:
    folder = job(tmp_path, **TUNING, held_out=0.1)
    for _ in range(2):
        ended(folder)
    spec = next(each for each in job_folders(tmp_path) if each.id != folder.id).read_spec()
    assert len(list(job_folders(tmp_path))) == 2
    assert isinstance(spec, EvaluateSpec)
    assert spec.model == "/m" and spec.variants == (str(folder.path / "result"),) == (spec.held_out_of,)


@pytest.mark.parametrize("state", [JobState.FAILED, JobState.CANCELLED, JobState.INTERRUPTED])
def test_what_did_not_succeed_is_not_measured(tmp_path: Path, state: JobState) -> None:
    ended(job(tmp_path, **TUNING), state)
    assert len(list(job_folders(tmp_path))) == 1


def test_only_those_that_ask_are_measured(tmp_path: Path) -> None:
    ended(job(tmp_path, **{**TUNING, "measure_result": False}))
    assert len(list(job_folders(tmp_path))) == 1
    reward = parse_spec({**TUNING, "objective": "reward"})
    assert evaluation_of(reward, tmp_path, "r") is None


def test_each_copy_is_measured_on_the_users_text() -> None:
    spec = parse_spec(
        {"kind": "quantize", "model": "/m", "method": "nf4", "further_methods": ["int8"], "measure_result": True,
         "calibration_data": "/t.txt"}
    )  # fmt: skip
    found = evaluation_of(spec, Path("/r"), "both")
    assert found is not None and found.data == "/t.txt" and found.held_out_of is None
    assert found.variants == (str(Path("/r/nf4")), str(Path("/r/int8")))
