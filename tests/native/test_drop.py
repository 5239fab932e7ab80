"""A folder that is dragged from another program onto the window is offered to be brought in, by its whole path."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tests.fakes.model_files import write_llama
from tests.native.screen import NativeWindow


def test_a_dropped_folder_is_offered_by_its_whole_path(
    open_window: Callable[..., NativeWindow], data_dir: Path, tmp_path: Path
) -> None:
    goat = write_llama(tmp_path / "stick ä b" / "goat")
    window = open_window()
    window.until_says("No models yet")
    shown = window.window_ids()[-1]
    window.screen.xdotool("windowmove", "--sync", shown, "200", "20")
    command = [sys.executable, str(Path(__file__).with_name("drag_source.py")), str(goat)]
    source = subprocess.Popen(command, env=window.screen.environment, stderr=subprocess.DEVNULL)
    try:
        window.until(lambda: window.screen.xdotool("search", "--name", "drag_source"), "the other program is there")
        move = window.screen.xdotool
        for _ in range(3):
            move("mousemove", "50", "930", "mousedown", "1")
            for x, y in ((60, 925), (90, 900), (300, 700), (500, 500), (600, 400), (610, 400), (620, 405)):
                move("mousemove", str(x), str(y))
                time.sleep(0.15)
            move("mouseup", "1")
            time.sleep(2)
            if window.says("Bring in a model"):
                break
        window.until_says("goat: model", 20)
    finally:
        source.kill()
        source.wait()
    assert window.evaluate("document.querySelector('input[aria-label=From]').value") == str(goat)
    assert "Whetstone" in window.evaluate("document.title"), "the page is still there"
