"""What outlives a page: which tab shows a job, prefilled forms, what happens when index or sensors fail."""

from pathlib import Path

import pytest
from nicegui.testing import User

from desktop_app.domain.job import JobState
from desktop_app.errors import SpecError
from desktop_app.services.client import Service
from desktop_app.ui.window_state import MACHINE_SAMPLES, WindowState
from tests.fakes.index_row import job


async def test_a_job_opens_where_it_belongs(user: User, state: WindowState) -> None:
    state.index.put(job(1))
    state.index.put(job(2, JobState.FAILED))
    await state.look_at_jobs()
    for job_id, tab in ((job(1).id, "jobs"), (job(2).id, "history"), ("not-in-the-index-yet", "jobs")):
        state.open_job(job_id)
        assert (state.job_id, state.tab) == (job_id, tab)


async def test_jobs_at_work_and_waiting_are_told_apart(user: User, state: WindowState) -> None:
    for number, its in enumerate((JobState.SUCCEEDED, JobState.PAUSED, JobState.QUEUED, JobState.QUEUED)):
        state.index.put(job(number, its))
    await state.look_at_jobs()
    assert state.active_job == job(1, JobState.PAUSED)
    assert [waiting.id for waiting in state.queued_jobs] == [job(2).id, job(3).id]


def test_rows_are_shown_by_another_service_than_the_one_that_reads_whole_files(state: WindowState) -> None:
    reader = Service("inspect")  # starts nothing until it is asked
    both = WindowState(state.settings, state.index, state.inspect, state.sensors, reader)
    assert (both.files.inspector, both.files.quick) == (reader, state.inspect)


def test_a_form_is_filled_with_a_spec(state: WindowState) -> None:
    heard: list[str] = []
    state.prefilled.subscribe(lambda spec: heard.append(spec.kind))
    state.fill_form({"kind": "finetune", "model": "/m", "data": "/d.jsonl", "rank": 8})
    assert (state.tab, state.model, state.data, heard) == ("finetune", "/m", "/d.jsonl", ["finetune"])
    state.fill_form({"kind": "quantize", "model": "/other"})
    assert (state.tab, state.model, state.data) == ("quantize", "/other", "/d.jsonl")


def test_a_spec_of_another_version_changes_nothing(state: WindowState) -> None:
    with pytest.raises(SpecError, match="temperature"):
        state.fill_form({"kind": "finetune", "model": "/m", "data": "/d", "temperature": 1})
    assert (state.tab, state.model, state.prefill) == ("models", "", None)


async def test_an_index_that_cannot_be_read_is_told_and_the_list_stays(user: User, state: WindowState) -> None:
    state.index.put(job(1))
    await state.look_at_jobs()
    file: Path = state.index.file
    kept = file.rename(file.with_suffix(".kept"))
    file.mkdir()
    await state.look_at_jobs()
    assert state.jobs_problem is not None
    assert str(file) in state.jobs_problem.message
    assert [known.id for known in state.jobs] == [job(1).id]
    file.rmdir()
    kept.rename(file)
    state.index.put(job(2))
    await state.look_at_jobs()
    assert state.jobs_problem is None
    assert len(state.jobs) == 2


async def test_the_machine_is_remembered_for_five_minutes(user: User, state: WindowState) -> None:
    for _ in range(3):
        await state.look_at_machine()
    assert len(state.machine) == 3
    state.machine.extend([state.machine[-1]] * MACHINE_SAMPLES)
    await state.look_at_machine()
    assert len(state.machine) == MACHINE_SAMPLES
