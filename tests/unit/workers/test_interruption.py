"""A cancellation ends what never returns by itself, and nothing is left of the watch."""

import signal
import threading
from pathlib import Path
from weakref import finalize

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


class Slow:
    """Takes its time to go, as the finalizers of a library may; Python drops what is raised meanwhile."""

    was_interrupted = False

    def go(self) -> None:
        try:
            while True:
                sum(range(100))
        except CancelledByUser:
            self.was_interrupted = True
            raise


def test_a_cancellation_that_python_drops_is_raised_again(job: JobFolder) -> None:
    reporter, slow = Reporter(job), Slow()
    with pytest.raises(CancelledByUser), ended_when_cancelled(reporter):
        job.ask(Request.CANCEL)
        ends = finalize(holder := type("Holder", (), {})(), slow.go)
        ends.atexit = False
        del holder
        assert slow.was_interrupted, "it was raised in the finalizer, and went no further"
        while True:
            sum(range(100))
    reporter.close()


def test_what_fails_after_the_user_cancelled_is_a_cancellation(job: JobFolder) -> None:
    reporter = Reporter(job)
    with pytest.raises(CancelledByUser), ended_when_cancelled(reporter):
        job.ask(Request.CANCEL)
        raise SystemError("the parser was broken off")
    reporter.close()


def test_what_fails_by_itself_is_told_as_it_is(job: JobFolder) -> None:
    reporter = Reporter(job)
    with pytest.raises(SystemError, match="by itself"), ended_when_cancelled(reporter):
        raise SystemError("by itself")
    reporter.close()


def test_a_call_that_returns_is_left_alone(job: JobFolder) -> None:
    before, reporter, threads = signal.getsignal(signal.SIGINT), Reporter(job), threading.active_count()
    with ended_when_cancelled(reporter):
        pass
    reporter.close()
    assert signal.getsignal(signal.SIGINT) is before
    assert threading.active_count() == threads
