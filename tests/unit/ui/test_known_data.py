"""What the window knows of data files: quick first, complete later, and stopped without loss."""

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest
from nicegui import core

from desktop_app.services.client import CallCancelled
from desktop_app.services.inspect import METHODS
from desktop_app.settings import Settings
from desktop_app.ui.known_data import KnownData, Reading


class SlowReader:
    """Answers the quick look at once, and the long one only when it is cancelled: the one at work, or the next."""

    def __init__(self, is_stuck_at_once: bool = False) -> None:
        self.is_stuck_at_once = is_stuck_at_once
        self._lock = threading.Lock()
        self._at_work: list[threading.Event] = []
        self._is_next_cancelled = False

    def call(self, method: str, timeout_s: float, **params: Any) -> Any:
        if params.get("limit_s") is None or self.is_stuck_at_once:
            cancelled = threading.Event()
            with self._lock:
                if self._is_next_cancelled:
                    self._is_next_cancelled = False
                    cancelled.set()
                else:
                    self._at_work.append(cancelled)
            assert cancelled.wait(60)
            raise CallCancelled("Reading the data was cancelled.")
        params.pop("on_progress")
        return {**METHODS[method](**params), "complete": False}

    def cancel(self) -> None:
        with self._lock:
            self._is_next_cancelled = not self._at_work
            for cancelled in self._at_work:
                cancelled.set()
            self._at_work.clear()


def rows_file(tmp_path: Path) -> str:
    file = tmp_path / "rows.jsonl"
    file.write_text('{"text": "a"}\n{"text": "b"}\n')
    return str(file)


async def test_a_stopped_look_keeps_what_the_quick_one_found(tmp_path: Path) -> None:
    reader, file = SlowReader(), rows_file(tmp_path)
    known = KnownData(Settings({}), reader)
    known.changed.subscribe(lambda: known.stop() if file in known.reports and file in known.being_read else None)
    await known.read(file)
    assert (known.reports[file].rows, known.reports[file].complete) == (2, False)
    assert not known.reports[file].problem
    assert not known.being_read


async def test_a_look_stopped_before_the_first_row_says_so(tmp_path: Path) -> None:
    reader, file = SlowReader(is_stuck_at_once=True), rows_file(tmp_path)
    known = KnownData(Settings({}), reader)
    known.changed.subscribe(lambda: known.stop() if file in known.being_read else None)
    await known.read(file)
    assert known.reports[file].problem == "rows.jsonl was not read to the first row."


async def test_recent_files_come_newest_first_and_are_bounded() -> None:
    known = KnownData(Settings({}), SlowReader())
    for number in range(25):
        known.add(f"/data/{number}.jsonl")
    known.add("/data/10.jsonl")
    assert known.paths[:2] == ["/data/10.jsonl", "/data/24.jsonl"]
    assert len(known.paths) == 20


async def test_another_reading_forgets_the_report(tmp_path: Path) -> None:
    reader, file = SlowReader(), rows_file(tmp_path)
    reader.cancel()
    known = KnownData(Settings({}), reader)
    await known.read(file)
    assert file in known.reports
    known.read_as(file, "auto", {})
    assert file in known.reports
    known.read_as(file, "columns", {"text": "text"})
    assert file not in known.reports
    assert known.reading(file) == Reading(layout="columns", columns={"text": "text"})


async def test_another_file_does_not_wait_for_the_one_before_which_is_read_again_when_it_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(core, "loop", asyncio.get_running_loop())
    reader, file = SlowReader(), rows_file(tmp_path)
    other = str(tmp_path / "other.jsonl")
    Path(other).write_text('{"text": "c"}\n')
    known = KnownData(Settings({}), reader)
    first = asyncio.create_task(known.read(file))
    while file not in known.reports:
        await asyncio.sleep(0.01)
    second = asyncio.create_task(known.read(other))
    await asyncio.wait_for(first, 60)
    while other not in known.reports:
        await asyncio.sleep(0.01)
    known.stop()
    await second
    assert (known.reports[file].rows, known.reports[other].rows) == (2, 1)
    assert not known.reports[file].complete and not known.reports[file].problem
    known.need(other)
    assert not known.being_read, "what was looked at last is known"
    known.need(file)
    while file not in known.being_read:
        await asyncio.sleep(0.01)
    while file not in known.reports:
        await asyncio.sleep(0.01)
    known.stop()
    while known.being_read:
        await asyncio.sleep(0.01)
    known.need(file)
    assert not known.being_read, "the user stopped it"
