"""A search for models below some folders: told as it goes, to be stopped at any time, followed by a look at each.

The service does the work; what it read before and has not changed since it takes from its cache.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nicegui import Event, run

from desktop_app.domain.model_facts import ModelFacts
from desktop_app.errors import AppError
from desktop_app.services.client import CallCancelled, Service

from .known_models import KnownModels

_STALL_TIMEOUT_S = 60.0  # without any word
_LOOK_TIMEOUT_S = 120.0
_AT_ONCE = 20  # models between two rows of progress


class ModelScan:
    """First folders are searched (`looked_in` so far), then `done` of `total` models are read.

    `found` counts models, `place` is where it is now, `problem` says what could not be searched. A scan that is
    `is_quiet` was not asked for by the user and need not be told when it ended well.
    """

    def __init__(self, models: KnownModels, reader: Service) -> None:
        self.models = models
        self.reader = reader
        self.is_running = False
        self.is_finished = False
        self.is_quiet = False
        self.looked_in = 0
        self.done = 0
        self.total = 0
        self.found = 0
        self.place = ""
        self.problem = ""
        self.changed = Event[[]]()

    async def run(self, roots: Sequence[str], is_quiet: bool = False) -> None:
        """Search below `roots` and list what is found; a second search waits for nobody and does nothing."""
        if self.is_running:
            return
        self.is_running, self.is_finished, self.is_quiet = True, False, is_quiet
        self.looked_in = self.done = self.total = self.found = 0
        self.problem = ""
        self.changed.emit()
        try:
            for root in roots:
                await self._search(root)
                if not self.is_running:
                    break
        finally:
            self.models.leave_alone(roots)
            self.is_running, self.is_finished = False, not is_quiet or bool(self.problem)
            self.changed.emit()

    def stop(self) -> None:
        """End the search; what was found stays."""
        self.is_running = False
        if self.total == 0:
            self.reader.cancel()

    def dismiss(self) -> None:
        """Forget how the last search ended."""
        self.is_finished = False
        self.changed.emit()

    async def _search(self, root: str) -> None:
        self.place, self.total, self.done = root, 0, 0
        self.changed.emit()
        try:
            answer = await run.io_bound(self._find, root)
            if answer is None:
                return  # the program ends
            await self._describe(root, answer["models"])
        except CallCancelled:
            return
        except AppError as error:
            self.problem = f"{root} could not be searched: {error.message}"
            return
        if self.is_running:
            self.models.searched(root, [model["path"] for model in answer["models"]], answer["folders"])

    def _find(self, root: str) -> Any:
        if not os.access(root, os.R_OK):
            self.problem = f"{root} is not there, or cannot be read."
            return {"models": [], "folders": {root: 0}}  # watched for its coming
        return self.reader.call("find_models", _STALL_TIMEOUT_S, on_progress=self._look_on, roots=[root])

    def _look_on(self, progress: dict[str, Any]) -> None:
        """Called in a thread; the line on the page looks at the numbers by itself."""
        self.looked_in = progress["done"]

    async def _describe(self, root: str, models: list[dict[str, str]]) -> None:
        self.total = len(models)
        for start in range(0, len(models), _AT_ONCE):
            if not self.is_running:
                return
            part = models[start : start + _AT_ONCE]
            self.place = str(Path(part[0]["path"]).parent)
            answer = await run.io_bound(self.reader.call, "describe_models", _LOOK_TIMEOUT_S, models=part)
            facts = [ModelFacts.model_validate(item) for item in answer or ()]
            self.done += len(part)
            self.found += len(facts)
            self.models.take(root, facts)
            self.changed.emit()
