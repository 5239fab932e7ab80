"""The worker's voice: nothing is lost or repeated, the last value always arrives, requests are heeded."""

import errno
import os
import threading
import time
from pathlib import Path

import pytest

from desktop_app.domain.event import Metric, Progress, Stage
from desktop_app.domain.machine import MachineSample
from desktop_app.errors import StorageError
from desktop_app.job_folder import JobFolder, Request
from desktop_app.workers.reporter import CancelledByUser, Reporter


@pytest.fixture
def folder(tmp_path: Path) -> JobFolder:
    return JobFolder(tmp_path)


def test_events_arrive_in_order_and_a_second_attempt_goes_on_counting(folder: JobFolder) -> None:
    for attempt in range(2):
        reporter = Reporter(folder)
        reporter.stage(f"attempt {attempt}")
        reporter.notice("careful", "warning")
        reporter.close()
    events = folder.read_events().events
    assert [event.seq for event in events] == [0, 1, 2, 3]
    assert [event.text for event in events if isinstance(event, Stage)] == ["attempt 0", "attempt 1"]


def test_a_torn_line_of_an_earlier_attempt_costs_no_other_event(folder: JobFolder) -> None:
    first = Reporter(folder)
    first.stage("one")
    first.close()
    with folder.events_file.open("ab") as stream:
        stream.write(b'{"v":1,"seq":1,"time":0,"kind":"sta')
    second = Reporter(folder)
    second.stage("two")
    second.close()
    assert [(event.seq, event.text) for event in folder.read_events().events if isinstance(event, Stage)] == [
        (0, "one"),
        (1, "two"),
    ]


def test_the_last_progress_and_every_metric_arrive(folder: JobFolder) -> None:
    reporter = Reporter(folder)
    for step in range(1, 501):
        reporter.progress(step, 500, "step")
        reporter.metric(step, {"loss": 1 / step})
    reporter.metric(500, {"eval_loss": 0.5})
    reporter.close()
    events = folder.read_events().events
    told = [event.done for event in events if isinstance(event, Progress)]
    assert len(told) < 100, "too many lines for the eye"
    assert told[-1] == 500
    losses = [event for event in events if isinstance(event, Metric) and "loss" in event.values]
    assert [(event.step, event.values["loss"]) for event in losses] == [(step, 1 / step) for step in range(1, 501)]
    assert [event.step for event in events if isinstance(event, Metric) and "eval_loss" in event.values] == [500]


def test_what_is_held_back_comes_before_the_next_event(folder: JobFolder) -> None:
    reporter = Reporter(folder)
    reporter.progress(1, 2, "step")
    reporter.progress(2, 2, "step")
    reporter.stage("done")
    kinds = [event.kind for event in folder.read_events().events]
    assert kinds == ["progress", "progress", "stage"]
    reporter.close()


def test_a_look_at_the_machine_brings_out_what_is_held_back(folder: JobFolder) -> None:
    reporter = Reporter(folder)
    reporter.progress(1, 2, "step")
    reporter.progress(2, 2, "step")
    reporter.sample(MachineSample(time=1, cpu=2, memory_total=3, memory_used=4, process_memory=5))
    assert len(folder.read_events().events) == 2
    assert MachineSample.model_validate_json(folder.machine_file.read_text()).process_memory == 5
    reporter.close()


def test_threads_do_not_mix_their_lines(folder: JobFolder) -> None:
    reporter = Reporter(folder)

    def tell() -> None:
        for number in range(100):
            reporter.stage("x" * number)

    threads = [threading.Thread(target=tell) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    reporter.close()
    assert [event.seq for event in folder.read_events().events] == list(range(400))


def test_cancel_is_no_exception_that_a_library_swallows(folder: JobFolder) -> None:
    reporter = Reporter(folder)
    assert reporter.heed() is False
    folder.ask(Request.CANCEL)
    with pytest.raises(CancelledByUser):
        reporter.heed()
    assert not issubclass(CancelledByUser, Exception)
    reporter.close()


@pytest.mark.parametrize("end", [Request.PAUSE, Request.STOP, Request.CANCEL])
def test_a_pause_holds_until_it_is_taken_back_or_more_is_asked(folder: JobFolder, end: Request) -> None:
    reporter = Reporter(folder)
    folder.ask(Request.PAUSE)
    went_on: list[object] = []

    def work() -> None:
        try:
            went_on.append(reporter.heed(7))
        except CancelledByUser:
            went_on.append("cancelled")

    worker = threading.Thread(target=work)
    worker.start()
    time.sleep(0.3)
    assert went_on == []
    assert [event.kind for event in folder.read_events().events] == ["paused"]
    if end is Request.PAUSE:
        folder.take_back(end)
    else:
        folder.ask(end)
    worker.join(timeout=10)
    assert went_on == [{Request.PAUSE: False, Request.STOP: True, Request.CANCEL: "cancelled"}[end]]
    reporter.close()


def test_the_last_word_is_said_on_a_full_disk(folder: JobFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    reporter = Reporter(folder)
    reserve = folder.path / ".reserve"
    real = os.write

    def write(file: int, data: bytes) -> int:
        if reserve.exists():
            real(file, data[:10])
            return 10
        return real(file, data)

    monkeypatch.setattr(os, "write", write)
    reporter.stage("still heard")
    assert [event.text for event in folder.read_events().events if isinstance(event, Stage)] == ["still heard"]
    monkeypatch.setattr(os, "write", lambda file, data: (_ for _ in ()).throw(OSError(errno.ENOSPC, "No space left")))
    with pytest.raises(StorageError, match="No space left"):
        reporter.stage("no longer")
    monkeypatch.undo()
    reporter.close()
    assert not reserve.exists()


def test_a_folder_that_cannot_be_written_is_told_in_words(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot be written"):
        Reporter(JobFolder(tmp_path / "missing"))
