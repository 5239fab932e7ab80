"""A search for models below some folders: one folder after the other, told as it goes, to be stopped at any time.

The walk itself is the service's; here the roots are taken apart, so that there is progress to tell.
"""

import os
from collections.abc import Sequence
from pathlib import Path

from nicegui import Event, run

from desktop_app.domain.model_facts import ModelFacts
from desktop_app.errors import AppError
from desktop_app.services.client import Service

from .known_models import KnownModels

_PART_TIMEOUT_S = 120.0


class ModelScan:
    """`done` of `total` folders were searched, `found` models so far; `problem` says what could not be searched."""

    def __init__(self, models: KnownModels, reader: Service) -> None:
        self.models = models
        self.reader = reader
        self.is_running = False
        self.is_finished = False
        self.done = 0
        self.total = 0
        self.found = 0
        self.place = ""
        self.problem = ""
        self.changed = Event[[]]()

    async def run(self, roots: Sequence[str]) -> None:
        """Search below `roots` and put what is found on the list; a second search waits for nobody and does nothing."""
        if self.is_running:
            return
        self.is_running, self.is_finished = True, False
        self.done = self.total = self.found = 0
        self.problem = ""
        try:
            parts = await run.io_bound(_parts, roots) or []
            self.total = len(parts)
            for part in parts:
                self.place = part
                self.changed.emit()
                if not self.is_running:
                    break
                await self._search(part)
                self.done += 1
        finally:
            self.is_running, self.is_finished = False, True
            self.changed.emit()

    def stop(self) -> None:
        """End the search; what was found stays."""
        self.is_running = False
        self.reader.close()

    def dismiss(self) -> None:
        """Forget how the last search ended."""
        self.is_finished = False
        self.changed.emit()

    async def _search(self, part: str) -> None:
        try:
            answer = await run.io_bound(self.reader.call, "scan", _PART_TIMEOUT_S, roots=[part])
        except AppError as error:
            if self.is_running:
                self.problem = f"{part} could not be searched: {error.message}"
            return
        facts = [ModelFacts.model_validate(item) for item in answer or ()]
        self.found += len(facts)
        self.models.take(facts)


def _parts(roots: Sequence[str]) -> list[str]:
    """Take each root apart into its subfolders; one that holds a model itself stays whole."""
    parts: list[str] = []
    for root in roots:
        try:
            with os.scandir(root) as entries:
                names = {entry.name: entry.is_dir(follow_symlinks=False) for entry in entries}
        except OSError:
            names = {}
        holds_a_model = any(name.endswith((".gguf", ".safetensors")) or name == "config.json" for name in names)
        below = [
            str(Path(root) / name) for name, is_dir in sorted(names.items()) if is_dir and not name.startswith(".")
        ]
        parts += [root] if holds_a_model or not below else below
    return list(dict.fromkeys(parts))
