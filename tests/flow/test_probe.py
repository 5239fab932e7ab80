"""The process of the short measurement: stopped, killed for want of memory, kept apart from jobs."""

import pytest

from desktop_app import paths
from desktop_app.domain.finetune_spec import FinetuneSpec
from desktop_app.domain.job import JobState
from desktop_app.errors import JobError, MemoryShortage
from desktop_app.jobs import submit
from desktop_app.os_lock import OsLock
from desktop_app.process import wait_until
from desktop_app.services.client import CallCancelled
from desktop_app.services.probe import Prober
from tests.fakes.own_children import own_children
from tests.flow.bench import Bench

SPEC = FinetuneSpec(model=str(paths.demo_model()), data=str(paths.demo_data()), device="cpu", threads=1)


@pytest.mark.usefixtures("data_dir")
def test_it_is_stopped_at_once_and_an_end_for_want_of_memory_is_an_answer() -> None:
    prober = Prober()
    seen: list[str] = []

    def stop(stage: str) -> None:
        seen.append(stage)
        prober.stop()

    with pytest.raises(CallCancelled):
        prober.probe(SPEC, [], stop)
    assert seen == ["Reading the data"]
    with pytest.raises(MemoryShortage, match="does not fit"):
        prober.probe(SPEC, [], lambda stage: own_children("probe")[0].kill())
    assert not own_children("probe")


def test_no_job_starts_beside_it_and_it_does_not_start_beside_a_job(bench: Bench) -> None:
    with OsLock(paths.probe_lock()) as lock:
        assert lock.acquire()
        job_id = bench.submit("steps=400 step_s=0.05")
        assert not wait_until(lambda: bench.state(job_id) is JobState.RUNNING, 2.0)
        assert bench.state(job_id) is JobState.QUEUED
    row = bench.until_state(job_id, JobState.RUNNING)
    with pytest.raises(JobError, match="is at work"):
        Prober().probe(SPEC, [row])
    submit.cancel(job_id)
    bench.until_ended(job_id)
