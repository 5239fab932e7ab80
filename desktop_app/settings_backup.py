"""Keep a synced good copy of the settings soon after each change; knows only that they tell of changes.

NiceGUI writes the settings file itself, late and without syncing it to the disk. A change of `offline` is
therefore written here at once into both files: a crash must never bring the user back online.
"""

import asyncio
import json
import logging
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from .settings import Settings, keep_good_copy, write_settings

_AFTER_S = 0.5


class SettingsBackup:
    """Follows one mapping with `on_change`, from the event loop; files are written in order by a thread."""

    def __init__(self, values: Any, folder: Path) -> None:
        self._values = values
        self._folder = folder
        self._offline = Settings(values).offline
        self._timer: asyncio.TimerHandle | None = None
        self._writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="settings")

    def follow(self) -> None:
        """Begin to follow the changes."""
        self._values.on_change(self._changed)

    def _changed(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        offline = Settings(self._values).offline
        if offline != self._offline:
            self._offline = offline
            loop = asyncio.get_running_loop()
            written = self._write(write_settings)
            # What was changed meanwhile may already stand in NiceGUI's file, which that replaced by an older one.
            written.add_done_callback(lambda _: loop.is_closed() or loop.call_soon_threadsafe(self._values.backup))
        else:
            self._timer = asyncio.get_running_loop().call_later(_AFTER_S, self._write, keep_good_copy)

    def _write(self, write: Callable[[Path, Mapping[str, Any]], None]) -> "Future[None]":
        values = json.loads(json.dumps(dict(self._values)))  # as they are now, not when the thread gets to them
        return self._writer.submit(self._writing, write, values)

    def _writing(self, write: Callable[[Path, Mapping[str, Any]], None], values: Mapping[str, Any]) -> None:
        try:
            write(self._folder, values)
        except OSError as error:
            logging.getLogger("whetstone").error("The settings cannot be written: %s", error)
