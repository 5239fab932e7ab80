"""Serve the window over a made-up history, for `shots.py`: `python filled_window.py PORT [empty] [trouble ...]`.

Troubles: no-gpu, driver-error, hot, on-battery, full-disk. Only the sensors are made up, since a GPU is seldom where
pictures are taken, and the reader of a full disk; the rest is the program's own.
"""

import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))


GIGA = 10**9
FULL_DISKS = [
    {"place": "/", "total": 512 * GIGA, "free": 310 * 10**6},
    {"place": "/media/a-stick-with-a-rather-long-name-of-its-own", "total": 64 * GIGA, "free": 0},
]
FULL_USE = {
    "free": 310 * 10**6,
    "jobs": [
        {"id": "a", "name": "support-qwen-r16", "kind": "finetune", "state": "succeeded", "checkpoints": 9 * GIGA,
         "result": GIGA, "other": 10**6},
        {"id": "b", "name": "letters-german-with-a-very-long-name-that-does-not-fit-into-its-place-at-all",
         "kind": "finetune", "state": "interrupted", "checkpoints": 4 * GIGA, "half": 2 * GIGA, "other": 10**6},
        {"id": "c", "name": "Llama-3.2-1B-int8", "kind": "evaluate", "state": "failed", "half": 3 * 10**8},
    ],
    "places": [
        {"group": "model", "name": "Qwen2.5-1.5B-Instruct", "path": "/m/q", "size": 31 * 10**8},
        {"group": "cache", "name": "Hugging Face cache", "path": "/h", "size": 210 * GIGA},
        {"group": "half", "name": "a copy that was cut off", "path": "/m/.x.part", "size": 7 * 10**8},
        {"group": "program", "name": "History and settings", "path": "/d", "size": 10**5},
    ],
}  # fmt: skip


def troubled(sample: dict[str, Any], variant: set[str]) -> dict[str, Any]:
    """Change what the sensors say as the troubles ask for."""
    if variant & {"no-gpu", "driver-error"}:
        sample["gpus"] = []
    if "driver-error" in variant:
        sample["gpu_problem"] = (
            "The NVIDIA driver was updated while the computer was on; its parts have different versions. "
            "Restart the computer."
        )
    if "hot" in variant:
        reasons = ["its power limit", "its hardware (heat or power)", "its temperature"]
        sample["gpus"][0] |= {"temperature": 97.0, "slowed_by": reasons, "power": None, "load": None, "processes": []}
        sample["cpu_temperature"] = 101.0
    if "on-battery" in variant:
        sample["battery"] = {"charge": 7.0, "is_plugged": False, "left_s": 540}
    return sample


def main(port: int, variant: set[str]) -> None:
    """Fill a temporary data folder and serve the window."""
    root = Path(os.environ.setdefault("WHETSTONE_DATA_DIR", tempfile.mkdtemp(prefix="whetstone-shots-")))
    os.environ["NICEGUI_STORAGE_PATH"] = str(root / "settings")
    (root / "settings").mkdir(parents=True, exist_ok=True)
    from nicegui import ui

    from desktop_app import paths
    from desktop_app.domain.machine import MachineSample
    from desktop_app.services import inspect
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

    def sample(now: float | None = None) -> dict[str, Any]:
        return troubled(laptop_sample(now), variant)

    disks = {"volumes": FULL_DISKS} if "full-disk" in variant else {}
    reader: Any = Service("inspect")
    if "full-disk" in variant:
        reader = FakeService(**inspect.METHODS | {"disk_use": lambda models: FULL_USE})
    state = WindowState(settings, index, reader, FakeService(sample=sample, machine=lambda: laptop() | disks))
    if "empty" not in variant:
        state.choose_model(next(path for path in settings.model_folders if "Qwen" in path))
        state.choose_data(settings.data_files[0])
    now = time.time()
    for ago_s in range(MACHINE_SAMPLES, 0, -1):
        state.machine.append(MachineSample.model_validate(sample(now - ago_s)))
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
