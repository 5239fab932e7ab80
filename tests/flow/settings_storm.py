"""Kill a program at random moments while it writes its settings, then judge what the next start reads.

    python -m tests.flow.settings_storm SEED KILLS LONGEST_S

Each round forks from this process, which has imported NiceGUI once; the child changes settings as a window does,
goes offline for good at some moment, and is killed. Prints what it found as JSON.
"""

import asyncio
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

from nicegui import core
from nicegui.persistence.file_persistent_dict import FilePersistentDict

from desktop_app.settings import Settings, prepare_storage, read_stored
from desktop_app.settings_backup import SettingsBackup

_STARTS_ONLINE = {"offline": False, "data_files": ["0"], "theme": "light"}


def storm(folder: Path, seed: int, kills: int, longest_s: float) -> dict[str, int]:
    """Return how often each thing was found after a kill; `settings` is a folder that outlives no round."""
    chance = random.Random(seed)
    found = {"kills": 0, "broken": 0, "impossible": 0, "back_online": 0, "went_offline": 0, "changed": 0}
    for _ in range(kills):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        (folder / "storage-general.json").write_text(json.dumps(_STARTS_ONLINE))
        prepare_storage(folder)
        child = os.fork()
        if child == 0:
            asyncio.run(_change(folder, chance.uniform(0, longest_s / 2)))
        time.sleep(chance.uniform(0, longest_s))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        found["kills"] += 1
        found["broken"] += prepare_storage(folder) != ""
        _judge(read_stored(folder), (folder / "is-offline").exists(), found)
    return found


async def _change(folder: Path, offline_after_s: float) -> None:
    core.loop = asyncio.get_running_loop()
    values = FilePersistentDict(folder / "storage-general.json", encoding="utf-8")
    values.initialize_sync()
    SettingsBackup(values, folder).follow()
    settings, start, number = Settings(values), time.monotonic(), 0
    while True:
        number += 1
        settings.theme = "dark" if number % 2 else "light"
        settings.data_files = [str(number)]
        if not settings.offline and time.monotonic() - start > offline_after_s:
            settings.offline = True
        if settings.offline and read_stored(folder).offline and not (folder / "is-offline").exists():
            good = json.loads((folder / "storage-general.good.json").read_bytes())
            if good["offline"]:
                (folder / "is-offline").touch()
        await asyncio.sleep(0.001)


def _judge(settings: Settings, is_offline: bool, found: dict[str, int]) -> None:
    number = int(settings.data_files[0]) if len(settings.data_files) == 1 else -1
    found["impossible"] += number < 0 or "offline" not in settings.values
    found["changed"] += number > 0
    found["went_offline"] += is_offline
    found["back_online"] += is_offline and not settings.offline


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as parent:
        print(json.dumps(storm(Path(parent) / "settings", int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))))
