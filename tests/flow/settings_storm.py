"""Kill a program at random moments while it writes its settings, then judge what the next start reads.

    python -m tests.flow.settings_storm SEED KILLS MOST_CHANGES

Each round forks from this process, which has imported NiceGUI once; the child changes settings as a window does,
goes offline for good at some moment, and is killed after a number of changes, whatever time they take. Prints what
it found as JSON.
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


def storm(folder: Path, seed: int, kills: int, most_changes: int) -> dict[str, int]:
    """Return how often each thing was found after a kill; `settings` is a folder that outlives no round."""
    chance = random.Random(seed)
    found = {"kills": 0, "broken": 0, "impossible": 0, "back_online": 0, "went_offline": 0, "changed": 0}
    for _ in range(kills):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        (folder / "storage-general.json").write_text(json.dumps(_STARTS_ONLINE))
        prepare_storage(folder)
        told, tell = os.pipe()
        offline_at = chance.randrange(most_changes // 2)
        child = os.fork()
        if child == 0:
            asyncio.run(_change(folder, offline_at, tell))
        os.close(tell)  # so that a child that failed is noticed
        for _ in range(chance.randrange(most_changes)):
            if not os.read(told, 1):
                raise ChildProcessError("the child ended before it was killed")
        time.sleep(chance.uniform(0, 0.01))  # into the midst of the next change
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(told)
        found["kills"] += 1
        found["broken"] += prepare_storage(folder) != ""
        _judge(read_stored(folder), (folder / "is-offline").exists(), found)
    return found


async def _change(folder: Path, offline_at: int, tell: int) -> None:
    core.loop = asyncio.get_running_loop()
    values = FilePersistentDict(folder / "storage-general.json", encoding="utf-8")
    values.initialize_sync()
    SettingsBackup(values, folder).follow()
    settings, number = Settings(values), 0
    while True:
        number += 1
        if number > offline_at:
            settings.offline = True
        settings.theme = "dark" if number % 2 else "light"
        settings.data_files = [str(number)]
        while read_stored(folder).data_files != [str(number)]:
            await asyncio.sleep(0.001)
        good = json.loads((folder / "storage-general.good.json").read_bytes())
        if settings.offline and good["offline"]:
            (folder / "is-offline").touch()
        os.write(tell, b".")


def _judge(settings: Settings, is_offline: bool, found: dict[str, int]) -> None:
    number = int(settings.data_files[0]) if len(settings.data_files) == 1 else -1
    found["impossible"] += number < 0 or "offline" not in settings.values
    found["changed"] += number > 0
    found["went_offline"] += is_offline
    found["back_online"] += is_offline and not settings.offline


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as parent:
        print(json.dumps(storm(Path(parent) / "settings", int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))))
