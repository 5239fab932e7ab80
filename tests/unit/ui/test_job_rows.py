"""Which jobs a table shows, in which order, and what its cells say."""

import time
from dataclasses import replace

import pytest

from desktop_app.domain.job import Job, JobState
from desktop_app.ui.job_actions import (
    CANCEL,
    CANCEL_KEEPING,
    CANCEL_QUANTIZING,
    CONTINUE,
    GO_ON,
    MEASURE,
    PAUSE,
    REMOVE,
    RESUME,
    RESUME_STOPPED,
    SAVE,
    SMALLER,
    STOP,
    Action,
    actions_of,
)
from desktop_app.ui.job_rows import JobFilter, in_order, in_queue_order, job_row, model_name

PLAIN = Job(
    id="20261121-120000-notes-0001",
    kind="finetune",
    name="notes",
    state=JobState.RUNNING,
    method="qlora",
    model="C:\\models\\Tiny Llama",
    data="/data/chats.jsonl",
    spec={},
    created=100.0,
    started=110.0,
    summary={},
)


def job(number: int, state: JobState = JobState.SUCCEEDED, **more: object) -> Job:
    return replace(PLAIN, id=f"job-{number}", name=f"notes-{number}", state=state, created=float(number), **more)


def test_a_filter_wants_all_words_wherever_they_stand() -> None:
    told = replace(PLAIN, message="The GPU has no memory left.")
    assert JobFilter(text="qlora LLAMA memory").accepts(told)
    assert not JobFilter(text="qlora mistral").accepts(told)
    assert JobFilter(states=frozenset({JobState.RUNNING}), kinds=frozenset({"finetune"})).accepts(told)
    assert not JobFilter(states=frozenset({JobState.FAILED})).accepts(told)
    assert not JobFilter(kinds=frozenset({"quantize"})).accepts(told)


def test_tags_are_searched_and_filtered_and_what_is_archived_is_shown_alone() -> None:
    tagged = replace(PLAIN, tags=("Pilot", "for Anna"))
    assert JobFilter(text="anna notes").accepts(tagged) and not JobFilter(text="anna").accepts(PLAIN)
    assert JobFilter(tags=frozenset({"Pilot", "other"})).accepts(tagged)
    assert not JobFilter(tags=frozenset({"other"})).accepts(tagged)
    away = replace(tagged, is_archived=True)
    assert not JobFilter(text="anna").accepts(away)
    assert JobFilter(text="anna", is_archived=True).accepts(away) and not JobFilter(is_archived=True).accepts(tagged)


def test_unknown_values_come_last_in_both_directions() -> None:
    jobs = [job(1, loss=None), job(2, loss=0.5), job(3, loss=2.0)]
    assert [j.id for j in in_order(jobs, "loss", False)] == ["job-2", "job-3", "job-1"]
    assert [j.id for j in in_order(jobs, "loss", True)] == ["job-3", "job-2", "job-1"]


def test_time_is_sorted_as_time_and_not_as_text() -> None:
    jobs = [job(1, started=0.0, ended=4320.0), job(2, started=0.0, ended=95.0), job(3, started=0.0, ended=1080.0)]
    assert [j.id for j in in_order(jobs, "time", False)] == ["job-2", "job-3", "job-1"]


def test_the_queue_shows_work_then_waiting_then_the_newest_ends() -> None:
    jobs = [
        job(1, JobState.SUCCEEDED, ended=50.0),
        job(2, JobState.QUEUED),
        job(3, JobState.RUNNING),
        job(4, JobState.QUEUED),
        job(5, JobState.FAILED, ended=60.0),
    ]
    assert [j.id for j in in_queue_order(reversed(jobs))] == ["job-3", "job-2", "job-4", "job-5", "job-1"]


@pytest.mark.parametrize(
    ("state", "more", "said"),
    [
        (JobState.QUEUED, {}, "Waiting"),
        (JobState.RUNNING, {}, "Starting"),
        (JobState.RUNNING, {"stage": "Loading the model"}, "Loading the model"),
        (JobState.RUNNING, {"done": 62, "total": 100}, "62 %"),
        (JobState.RUNNING, {"done": 100, "total": 100}, "Finishing"),
        (JobState.RUNNING, {"done": 100, "total": 100, "stage": "Loading the result"}, "Loading the result"),
        (JobState.PAUSED, {"done": 62, "total": 100}, "Paused 62 %"),
        (
            JobState.PAUSED,
            {"done": 62, "total": 100, "stage": "Paused: on battery. Goes on soon."},
            "Paused: on battery",
        ),
        (JobState.QUEUED, {"stage": "Waits: quiet hours. Goes on at 07:00."}, "Waits: quiet hours"),
        (JobState.CANCELLED, {"done": 62, "total": 100}, "Cancelled"),
    ],
)
def test_what_the_progress_cell_says(state: JobState, more: dict[str, object], said: str) -> None:
    assert job_row(job(1, state, **more), time.time())["progress"] == said


def test_a_windows_path_is_named_by_its_folder_on_every_system() -> None:
    assert model_name(PLAIN) == "Tiny Llama"


def test_ten_thousand_jobs_are_sorted_and_filtered_in_no_time() -> None:
    jobs = [job(number, loss=float(-number)) for number in range(10_000)]
    begun = time.monotonic()
    assert in_order(jobs, "loss", False)[0].id == "job-9999"
    assert [j for j in jobs if JobFilter(text="notes-77 llama").accepts(j)]
    assert time.monotonic() - begun < 3  # some 30 ms here


@pytest.mark.parametrize(
    ("kind", "state", "has_checkpoint", "actions"),
    [
        ("finetune", JobState.QUEUED, False, (REMOVE,)),
        ("finetune", JobState.RUNNING, True, (MEASURE, SAVE, PAUSE, STOP, CANCEL)),
        ("quantize", JobState.RUNNING, False, (PAUSE, CANCEL_QUANTIZING)),
        ("finetune", JobState.PAUSED, False, (CONTINUE, STOP, CANCEL)),
        ("finetune", JobState.FAILED, True, (RESUME,)),
        ("finetune", JobState.INTERRUPTED, False, ()),
        ("quantize", JobState.INTERRUPTED, False, (GO_ON,)),
        ("quantize", JobState.CANCELLED, False, (GO_ON,)),
        ("download", JobState.RUNNING, False, (PAUSE, CANCEL_KEEPING)),
        ("bring_in", JobState.CANCELLED, False, (GO_ON,)),
        ("convert", JobState.FAILED, False, ()),
        ("finetune", JobState.SUCCEEDED, True, ()),
    ],
)
def test_what_can_be_done_in_each_state(
    kind: str, state: JobState, has_checkpoint: bool, actions: tuple[Action, ...]
) -> None:
    assert actions_of(replace(PLAIN, kind=kind, state=state), has_checkpoint) == actions


def test_a_fine_tuning_that_was_stopped_and_saved_can_go_on() -> None:
    stopped = replace(PLAIN, kind="finetune", state=JobState.SUCCEEDED)
    assert actions_of(stopped, True, is_stopped=True) == (RESUME_STOPPED,)
    assert actions_of(stopped, False, is_stopped=True) == ()


def test_a_fine_tuning_that_ran_out_of_memory_goes_on_smaller() -> None:
    assert actions_of(replace(PLAIN, kind="finetune", state=JobState.FAILED, error="memory"), False) == (SMALLER,)
