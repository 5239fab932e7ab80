"""A cancellation ends what never returns by itself, and nothing is left of the watch."""

import signal
import threading
from pathlib import Path

import pytest

from desktop_app.domain.quantize_spec import QuantizeSpec
from desktop_app.job_folder import JobFolder, Request, create_job_folder
from desktop_app.workers.interruption import ended_when_cancelled
from desktop_app.workers.reporter import CancelledByUser, Reporter


@pytest.fixture
def job(tmp_path: Path) -> JobFolder:
    return create_job_folder(tmp_path, "job", QuantizeSpec(model="/m"))


def test_a_call_that_does_not_return_is_ended(job: JobFolder) -> None:
    before, reporter = signal.getsignal(signal.SIGINT), Reporter(job)
    with pytest.raises(CancelledByUser), ended_when_cancelled(reporter):
        job.ask(Request.CANCEL)
        while True:
            sum(range(100))
    reporter.close()
    assert signal.getsignal(signal.SIGINT) is before


def test_a_call_that_returns_is_left_alone(job: JobFolder) -> None:
    before, reporter, threads = signal.getsignal(signal.SIGINT), Reporter(job), threading.active_count()
    with ended_when_cancelled(reporter):
        pass
    reporter.close()
    assert signal.getsignal(signal.SIGINT) is before
    assert threading.active_count() == threads
