"""A row made from a folder alone."""

import json
from typing import Any

import pytest

from desktop_app.domain.job import JobMarks, JobState
from desktop_app.job_folder import JobFolder, Outcome
from desktop_app.jobs.row import queued_row, row_from_folder


def write_events(folder: JobFolder, *events: dict[str, Any]) -> None:
    lines = [json.dumps({"v": 1, "seq": seq, "time": 100.0 + seq, **event}) for seq, event in enumerate(events)]
    folder.events_file.write_text("".join(line + "\n" for line in lines))


def test_a_waiting_job_is_described_by_its_spec(folder: JobFolder) -> None:
    folder.write_note("mine")
    folder.write_marks(JobMarks(tags=("pilot",), is_archived=True))
    row = row_from_folder(folder)
    assert row.marks == JobMarks(tags=("pilot",), is_archived=True)
    assert (row.kind, row.name, row.method, row.state, row.note) == (
        "finetune", "tiny-lora", "lora", JobState.QUEUED, "mine",
    )  # fmt: skip
    assert row.spec["rank"] == 16 and row.created > 0 and row.started is None


def test_events_and_outcome_are_applied(folder: JobFolder) -> None:
    write_events(
        folder,
        {"kind": "started", "pid": 1},
        {"kind": "stage", "text": "Training"},
        {"kind": "progress", "done": 3, "total": 4, "rate": 2.0, "rate_unit": "token", "eta_s": 5},
        {"kind": "metric", "step": 3, "values": {"loss": 1.5}},
        {"kind": "metric", "step": 3, "values": {"eval_loss": 2.5}},
        {"kind": "succeeded", "result": "/r", "summary": {"final_loss": 1.5}},
    )
    row = row_from_folder(folder)
    assert (row.state, row.started, row.done, row.total, row.loss) == (JobState.RUNNING, 100.0, 3, 4, 1.5)
    folder.write_outcome(Outcome(state=JobState.SUCCEEDED, ended=120.0))
    row = row_from_folder(folder)
    assert (row.state, row.duration_s, row.result, row.summary) == (JobState.SUCCEEDED, 20.0, "/r", {"final_loss": 1.5})
    folder.write_outcome(Outcome(state=JobState.FAILED, ended=120.0, message="spoiled"))
    row = row_from_folder(folder)
    assert (row.result, row.summary, row.message) == ("", {}, "spoiled")


def test_a_later_attempt_begins_afresh(folder: JobFolder) -> None:
    write_events(
        folder,
        {"kind": "started", "pid": 1},
        {"kind": "failed", "error": "data", "message": "no", "hint": "x"},
        {"kind": "started", "pid": 2},
        {"kind": "paused", "step": 1},
    )
    row = row_from_folder(folder)
    assert (row.state, row.message, row.started) == (JobState.PAUSED, "", 102.0)


def test_a_clock_that_was_set_back_gives_no_negative_duration(folder: JobFolder) -> None:
    write_events(folder, {"kind": "started", "pid": 1})
    folder.write_outcome(Outcome(state=JobState.CANCELLED, ended=1.0))
    row = row_from_folder(folder)
    assert row.duration_s == 0.0 and row.ended == row.started


@pytest.mark.parametrize(
    "content", [b"", b"{", b"\xff\xfe", b'{"kind": 3}', b"[" * 100_000, b'{"kind": "x", "model": []}']
)
def test_a_broken_spec_still_gives_a_row(folder: JobFolder, content: bytes) -> None:
    folder.spec_file.write_bytes(content)
    assert queued_row(folder).name == folder.id


def test_a_damaged_outcome_is_an_interruption(folder: JobFolder) -> None:
    (folder.path / "outcome.json").write_text("{")
    row = row_from_folder(folder)
    assert row.state is JobState.INTERRUPTED and "outcome.json is damaged" in row.message
