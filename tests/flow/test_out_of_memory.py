"""A job that runs out of memory keeps its checkpoint and goes on with a plan that needs less."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from desktop_app.domain.job import JobState
from desktop_app.errors import JobError
from desktop_app.jobs import submit
from tests.flow.bench import Bench

_GROUPS = Path("/sys/fs/cgroup/memory")
_LIMIT_BYTES = 100 * 2**20


@pytest.fixture
def memory_limit(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A control group in which the kernel ends what takes more than 100 MB."""
    group = _GROUPS / f"whetstone-{os.getpid()}"
    try:
        group.mkdir()
    except OSError:
        pytest.skip("control groups of the first version are not ours to make here")
    (group / "memory.limit_in_bytes").write_text(str(_LIMIT_BYTES))
    monkeypatch.setenv("WHETSTONE_TEST_CGROUP", str(group))
    yield
    group.rmdir()


def test_a_kill_by_the_memory_limit_is_told_and_one_click_goes_on(bench: Bench, memory_limit: None) -> None:
    job_id = bench.submit("checkpoint=2 end=memory at=3")
    row = bench.until_ended(job_id)
    assert (row.state, row.error) == (JobState.INTERRUPTED, "memory")
    assert "likely out of memory" in row.message
    assert "in place of" in submit.run_on_smaller(job_id), "it says what changes"
    bench.until(lambda: bench.state(job_id) is JobState.SUCCEEDED, "the end")
    row = bench.row(job_id)
    assert row is not None
    assert row.spec["batch_size"] * row.spec["gradient_accumulation"] == 8
    assert row.spec["batch_size"] == 1
    steps = [event.done for event in bench.folder(job_id).read_events().events if event.kind == "progress"]
    assert steps == [1, 2, 3, 4, 5], "it went on from its checkpoint"


def test_a_job_that_may_goes_on_by_itself(bench: Bench, memory_limit: None) -> None:
    job_id = bench.submit("end=memory at=3", on_out_of_memory="smaller")
    row = bench.until_ended(job_id)
    assert row.state is JobState.SUCCEEDED
    assert row.spec["batch_size"] == 1


def test_a_plan_that_is_the_smallest_already_is_refused(bench: Bench) -> None:
    small = {"batch_size": 1, "activation_checkpointing": True, "max_length": 64, "optimizer": "adamw_8bit"}
    job_id = bench.submit("end=fail error=memory at=1", **small)
    assert bench.until_ended(job_id).error == "memory"
    with pytest.raises(JobError, match="cannot be made smaller"):
        submit.run_on_smaller(job_id)
