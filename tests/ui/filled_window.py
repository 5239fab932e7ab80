"""Serve the window over a made-up history, for `shots.py`: `python filled_window.py PORT [empty] [no-gpu]`.

Only the sensors are made up, since a GPU is seldom where pictures are taken; the rest is the program's own.
"""

import os
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))


def main(port: int, variant: set[str]) -> None:
    """Fill a temporary data folder and serve the window."""
    root = Path(os.environ.setdefault("WHETSTONE_DATA_DIR", tempfile.mkdtemp(prefix="whetstone-shots-")))
    os.environ["NICEGUI_STORAGE_PATH"] = str(root / "settings")
    (root / "settings").mkdir(parents=True, exist_ok=True)
    from nicegui import ui

    from desktop_app import paths
    from desktop_app.domain.machine import MachineSample
    from desktop_app.services.client import Service
    from desktop_app.settings import Settings
    from desktop_app.storage.index import Index
    from desktop_app.ui.window import draw_window
    from desktop_app.ui.window_state import MACHINE_SAMPLES, WindowState
    from tests.fakes.example_history import fill, put_evaluation
    from tests.fakes.fake_service import FakeService, laptop, laptop_sample

    index, settings = Index(paths.index_file()), Settings({})
    if "empty" not in variant:
        listed = fill(root, paths.jobs_dir(), index, time.time())
        put_evaluation(root, paths.jobs_dir(), index, time.time())
        settings.model_folders, settings.data_files = listed["models"], listed["data"]
    without_gpu = {"gpus": []} if "no-gpu" in variant else {}
    state = WindowState(
        settings, index, Service("inspect"), FakeService(sample=lambda: laptop_sample() | without_gpu, machine=laptop)
    )
    if "empty" not in variant:
        state.choose_model(next(path for path in settings.model_folders if "Qwen" in path))
        state.choose_data(settings.data_files[0])
    now = time.time()
    for ago_s in range(MACHINE_SAMPLES, 0, -1):
        state.machine.append(MachineSample.model_validate(laptop_sample(now - ago_s) | without_gpu))
    state.start()
    ui.run(
        lambda: draw_window(state),
        host="127.0.0.1",
        port=port,
        reload=False,
        show=False,
        title="Whetstone",
        show_welcome_message=False,
    )


if __name__ == "__main__":
    main(int(sys.argv[1]), set(sys.argv[2:]))
