"""Take the README's pictures from the real window while the demo trains; not a test.

    python tests/native/pictures.py docs/images

Needs Xvfb, openbox, xdotool and ImageMagick. Each picture is reduced to a palette, to stay small.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.native.screen import NativeWindow, Screen

if TYPE_CHECKING:
    from desktop_app.domain.job import Job

SHARE = 0.7  # of the job is done when its picture is taken


def main() -> None:
    """Take the pictures of both themes."""
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("folder", type=Path)
    folder = asked.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    for theme in ("dark", "light"):
        with tempfile.TemporaryDirectory() as data:
            os.environ["WHETSTONE_DATA_DIR"] = data
            settings = Path(data) / "settings"
            settings.mkdir()
            about = {"theme": theme, "window_size": [1180, 780]}
            (settings / "storage-general.json").write_text(json.dumps(about))
            screen = Screen("1300x900")
            window = NativeWindow(screen, {"PYTHONWARNINGS": "ignore"})  # their text names folders of this machine
            try:
                _walk(window.wait(), folder, theme)
            finally:
                window.close()
                screen.close()


def _walk(window: NativeWindow, folder: Path, theme: str) -> None:
    from desktop_app.jobs.submit import cancel
    from desktop_app.paths import index_file
    from desktop_app.storage.index import Index

    window.click("Try it with the demo")
    window.until_says("Start")
    window.until(lambda: not window.says("Reading") and not window.says("Choose a model and data"), "all is read")
    time.sleep(3)  # the preview follows in its own time
    _take(window, folder / f"finetune_{theme}.png")
    window.click("Start")
    index = Index(index_file())
    window.until(lambda: (jobs := index.jobs()) and _is_far(jobs[0]), "it trains", 900)
    _take(window, folder / f"job_{theme}.png")
    cancel(index.jobs()[0].id)
    window.until(lambda: index.jobs()[0].state.is_terminal, "it ends")


def _is_far(job: "Job") -> bool:
    return job.unit == "step" and job.done >= SHARE * job.total


def _take(window: NativeWindow, file: Path) -> None:
    window.screen.xdotool("mousemove", "1290", "890")
    window.until(lambda: not window.evaluate("document.querySelector('.q-notification')"), "no toast is shown")
    window.picture(file)
    subprocess.run(
        ["mogrify", "+dither", "-colors", "96", "-strip", "-define", "png:compression-level=9", str(file)], check=True
    )
    print(f"{file} {file.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
