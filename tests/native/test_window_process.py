"""The window and its processes: nothing is orphaned, jobs outlive it, and it asks before it closes."""

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from desktop_app.domain.job import JobState
from desktop_app.settings import read_stored
from tests.flow.bench import Bench
from tests.native.screen import NativeWindow

Opening = Callable[..., NativeWindow]


@pytest.fixture
def bench(data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    yield Bench(data_dir, tmp_path, monkeypatch.setenv)


def test_no_window_is_left_when_the_server_dies(open_window: Opening, data_dir: Path) -> None:
    for end_it in (signal.SIGKILL, signal.SIGTERM):
        window = open_window()
        family = [window.process(), *window.process().children(recursive=True)]
        assert any("QtWebEngine" in process.name() for process in family)
        window.program.process.send_signal(end_it)
        _, left = psutil.wait_procs(family, timeout=15)
        assert left == [], (end_it, left)
        window.until(lambda: not window.window_ids(), "the window is gone")  # noqa: B023


def test_closing_without_a_job_asks_nothing_and_the_place_is_remembered(open_window: Opening, data_dir: Path) -> None:
    window = open_window()
    shown = window.window_ids()[-1]
    window.screen.xdotool("windowsize", "--sync", shown, "1000", "700")
    window.screen.xdotool("windowmove", "--sync", shown, "210", "130")
    stored = lambda: read_stored(data_dir / "settings")  # noqa: E731
    window.until(lambda: stored().window_size == (1000, 700), "its size is remembered")
    window.until(lambda: stored().window_place is not None, "its place is remembered")
    place = stored().window_place
    window.press("alt+F4")
    assert window.ended() == 0
    again = open_window()
    geometry = again.screen.xdotool("getwindowgeometry", "--shell", again.window_ids()[-1])
    assert "WIDTH=1000" in geometry and "HEIGHT=700" in geometry
    assert again.evaluate("[window.screenX, window.screenY]") == list(place or ())


def test_a_second_start_brings_the_window_back(open_window: Opening, data_dir: Path) -> None:
    window = open_window()
    shown = window.window_ids()[-1]
    window.until(lambda: window.screen.xdotool("windowminimize", shown) or not window.window_ids(), "it is minimized")
    second = type(window.program)(environment={"DISPLAY": window.screen.display})
    try:
        assert second.wait() == 0
    finally:
        second.close()
    window.until(window.window_ids, "it is back")


def test_closing_while_a_job_runs_asks(open_window: Opening, bench: Bench) -> None:
    job_id = bench.submit("steps=100000 step_s=0.1")
    bench.until_step(job_id, 1)
    window = open_window()
    window.press("alt+F4")
    window.until_says("Close the window?")
    window.press("alt+F4")  # impatience opens no second question
    window.click("Cancel")
    window.until(lambda: not window.says("Close the window?"), "the question is gone")
    assert window.program.process.poll() is None

    window.press("alt+F4")
    window.click("Keep running in background")
    assert window.ended() == 0
    step = bench.row(job_id).done
    bench.until_step(job_id, step + 3)
    assert bench.state(job_id) is JobState.RUNNING

    window = open_window()
    window.press("alt+F4")
    window.click("Stop and save, then quit")
    assert window.ended() == 0
    row = bench.until_ended(job_id)
    assert row.state is JobState.SUCCEEDED and row.result


def test_a_job_outlives_the_window_however_it_ends(open_window: Opening, bench: Bench) -> None:
    job_id = bench.submit("steps=100000 step_s=0.1")
    bench.until_step(job_id, 1)
    worker = bench.worker(job_id)
    window = open_window()
    window.process().kill()
    assert window.ended() == 0
    open_window().program.process.kill()
    step = bench.row(job_id).done
    bench.until_step(job_id, step + 3)
    assert bench.worker(job_id) == worker and bench.state(job_id) is JobState.RUNNING
