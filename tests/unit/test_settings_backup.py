"""A good copy follows every change; going offline is on the disk at once."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from desktop_app.settings import Settings
from desktop_app.settings_backup import SettingsBackup


class Told(dict[str, Any]):
    """A mapping that tells of its changes, as NiceGUI's storage does, and counts when it is asked to be written."""

    backups = 0

    def backup(self) -> None:
        self.backups += 1

    def on_change(self, handler: Callable[[], None]) -> None:
        self.handler = handler

    def __setitem__(self, key: str, value: Any) -> None:
        super().__setitem__(key, value)
        self.handler()


async def _until(condition: Callable[[], object]) -> None:
    for _ in range(500):
        if condition():
            return
        await asyncio.sleep(0.02)
    raise AssertionError("never")


def _content(file: Path) -> Any:
    return json.loads(file.read_text()) if file.exists() else None


async def test_a_good_copy_follows(tmp_path: Path) -> None:
    values = Told(theme="dark")
    SettingsBackup(values, tmp_path).follow()
    settings = Settings(values)
    for number in range(50):
        settings.window_size = (1000 + number, 700)
    good = tmp_path / "storage-general.good.json"
    assert not good.exists(), "not fifty times"
    await _until(lambda: _content(good) == {"theme": "dark", "window_size": [1049, 700]})
    assert not (tmp_path / "storage-general.json").exists(), "that file is NiceGUI's"


async def test_offline_is_written_at_once(tmp_path: Path) -> None:
    values = Told(offline=False)
    SettingsBackup(values, tmp_path).follow()
    Settings(values).offline = True
    main = tmp_path / "storage-general.json"
    await _until(lambda: _content(main) == {"offline": True})
    await _until(lambda: _content(tmp_path / "storage-general.good.json") == {"offline": True})
    await _until(lambda: values.backups)  # NiceGUI's own file of a later change may have been replaced


async def test_a_disk_without_space_is_only_logged(tmp_path: Path, caplog: Any) -> None:
    values = Told()
    SettingsBackup(values, tmp_path / "gone").follow()
    Settings(values).theme = "light"
    await _until(lambda: "cannot be written" in caplog.text)
