"""When jobs start and how long they take, by earlier ones like them."""

from dataclasses import replace
from typing import Any

import pytest

from desktop_app.domain.finetune_spec import FinetuneSpec
from desktop_app.domain.job import Job, JobState
from desktop_app.ui.queue_time import expected_s, waiting_s
from tests.unit.ui.test_job_rows import PLAIN

SPEC = FinetuneSpec(model="/m", data="/d", epochs=2)


def raw(**changes: Any) -> dict[str, Any]:
    return SPEC.model_copy(update=changes).model_dump(mode="json")


def job(state: JobState = JobState.SUCCEEDED, **changes: Any) -> Job:
    """A training of 100 steps that took 200 seconds."""
    return replace(PLAIN, kind="finetune", state=state, spec=raw(**changes), done=100.0, started=0.0, ended=200.0)


def test_a_run_like_an_earlier_one_takes_as_long() -> None:
    assert expected_s(raw(), [job()]) == pytest.approx(200)
    assert expected_s(raw(epochs=4), [job()]) == pytest.approx(400)
    assert expected_s(raw(max_steps=10), [job()]) == pytest.approx(20)
    assert expected_s(raw(learning_rate=1e-3, rank=8), [job()], steps=50) == pytest.approx(100)


def test_steps_of_another_size_tell_nothing() -> None:
    assert expected_s(raw(batch_size=8), [job()]) is None
    assert expected_s(raw(), [job(JobState.FAILED)]) is None
    assert expected_s(raw(data="/other"), [job()]) is None, "how many steps is not known"


def test_what_waits_is_added_to_what_runs() -> None:
    active = replace(job(JobState.RUNNING), eta_s=60.0)
    queued = [job(JobState.QUEUED), job(JobState.QUEUED, batch_size=8)]
    assert waiting_s(active, queued, [job()]) == (pytest.approx(260), 1)
    assert waiting_s(None, [], []) == (0, 0)
    assert waiting_s(replace(active, eta_s=None), [], []) == (0, 1)
