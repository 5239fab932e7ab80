"""A feed sees each event once, survives torn and foreign lines, and does not choke on a flood."""

import json
import time
from pathlib import Path

import pytest

from desktop_app.domain.event import Metric, Succeeded
from desktop_app.domain.finetune_spec import FinetuneSpec
from desktop_app.domain.machine import MachineSample
from desktop_app.job_folder import JobFolder, create_job_folder
from desktop_app.ui.event_feed import EventFeed


@pytest.fixture
def folder(tmp_path: Path) -> JobFolder:
    return create_job_folder(tmp_path, "20261121-120000-a-0001", FinetuneSpec(model="m", data="d"))


def append(file: Path, data: bytes) -> None:
    with file.open("ab") as stream:
        stream.write(data)


def loss_line(step: int) -> bytes:
    return Metric(seq=step, time=1.0, step=step, values={"loss": 1 / step}).model_dump_json().encode() + b"\n"


def test_nothing_yet(folder: JobFolder) -> None:
    feed = EventFeed(folder)
    assert not feed.read()
    assert feed.record.event_count == 0


def test_each_event_is_seen_once_however_the_file_grows(folder: JobFolder) -> None:
    feed = EventFeed(folder)
    data = b"".join(loss_line(step) for step in range(1, 101))
    for start in range(0, len(data), 777):
        append(folder.events_file, data[start : start + 777])
        feed.read()
    assert [step for step, _ in feed.record.metrics["loss"]] == list(range(1, 101))
    assert not feed.read()


def test_torn_and_unknown_lines_are_left_out(folder: JobFolder) -> None:
    append(folder.events_file, loss_line(1) + b'{"kind":"dream","seq":2}\n\xff\xfe\n' + loss_line(3) + b'{"kind":"me')
    append(folder.machine_file, b'{"time": 1}\n' + machine_line() + b'{"ti')
    feed = EventFeed(folder)
    feed.read()
    assert [step for step, _ in feed.record.metrics["loss"]] == [1, 3]
    assert [sample.cpu for sample in feed.machine] == [21.0]


def machine_line() -> bytes:
    return MachineSample(time=5.0, cpu=21.0, memory_total=16, memory_used=8).model_dump_json().encode() + b"\n"


def test_an_event_longer_than_a_piece_is_read_whole(folder: JobFolder) -> None:
    succeeded = Succeeded(seq=1, time=1.0, result="/r", checks={"long": "x" * 3_000_000})
    append(folder.events_file, succeeded.model_dump_json().encode() + b"\n" + loss_line(2))
    feed = EventFeed(folder)
    feed.read()
    assert isinstance(feed.record.end, Succeeded)
    assert feed.record.event_count == 2


def test_a_hundred_thousand_events_are_all_there(folder: JobFolder) -> None:
    append(folder.events_file, b"".join(loss_line(step) for step in range(1, 100_001)))
    feed = EventFeed(folder)
    begun = time.process_time()  # not by the clock: others may want the processor too
    feed.read()
    assert len(feed.record.metrics["loss"]) == 100_000
    assert time.process_time() - begun < 30  # about a second here; a quadratic reader would take minutes


def test_a_flood_of_console_text_leaves_the_newest_lines(folder: JobFolder) -> None:
    feed = EventFeed(folder)
    append(folder.console_file, b"the first\n")
    feed.read()
    assert list(feed.log.lines) == ["the first"]
    append(folder.console_file, b"".join(b"line %d of many\n" % n for n in range(200_000)))
    feed.read()
    assert feed.log.lines[-1] == "line 199999 of many"
    assert len(feed.log.lines) == 2000
    assert feed.log.lines[0] == "line 198000 of many"


def test_a_console_cut_in_a_line_shows_no_half_line(folder: JobFolder) -> None:
    append(folder.console_file, (b"x" * 999 + b"\n") * 2000 + b"last")
    feed = EventFeed(folder)
    feed.read()
    assert set(feed.log.lines) == {"x" * 999}
    assert feed.log.shown_open_line == "last"


def test_a_console_that_begins_anew_is_followed(folder: JobFolder) -> None:
    feed = EventFeed(folder)
    append(folder.console_file, b"a long first line\n")
    feed.read()
    folder.console_file.write_bytes(b"new\nmore\n")
    feed.read()
    assert list(feed.log.lines) == ["a long first line", "new", "more"]


def test_a_folder_deleted_meanwhile_is_no_crash(folder: JobFolder) -> None:
    append(folder.events_file, loss_line(1))
    append(folder.console_file, b"text\n")
    feed = EventFeed(folder)
    feed.read()
    for file in (folder.events_file, folder.console_file):
        file.unlink()
    feed.read()
    assert feed.record.event_count in (0, 1)


def test_values_that_json_cannot_write_do_not_stop_the_feed(folder: JobFolder) -> None:
    event = {"kind": "metric", "v": 1, "seq": 1, "time": 1, "step": 1, "values": {"loss": float("nan")}}
    append(folder.events_file, json.dumps(event).encode() + b"\n" + loss_line(2))
    feed = EventFeed(folder)
    feed.read()
    assert feed.record.metrics["loss"][-1] == (2, 0.5)
