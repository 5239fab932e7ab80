"""The models this window knows: folders the user listed, and what finished jobs made.

Reads folders only through the inspect service, in a thread. `changed` tells whoever draws them.
"""

from collections.abc import Iterable
from pathlib import Path

from nicegui import Event, background_tasks, run

from desktop_app.domain.job import Job, JobState
from desktop_app.domain.model_facts import ModelFacts
from desktop_app.errors import AppError
from desktop_app.services.client import Service
from desktop_app.settings import Settings

_READ_TIMEOUT_S = 20.0


class KnownModels:
    """Facts by folder, in the order of the list: listed ones first, then those made here, newest first."""

    def __init__(self, settings: Settings, inspector: Service) -> None:
        self.settings = settings
        self.inspector = inspector
        self.facts: dict[str, ModelFacts] = {}
        self.made_by: dict[str, str] = {}  # result folder -> name of the job that made it
        self.changed = Event[[]]()
        self._being_read: set[str] = set()

    @property
    def paths(self) -> list[str]:
        """All folders, without doubles."""
        return list(dict.fromkeys([*self.settings.model_folders, *self.made_by]))

    @property
    def unread(self) -> list[str]:
        """The folders that have not been read yet."""
        return [path for path in self.paths if path not in self.facts]

    def add(self, folders: Iterable[str]) -> None:
        """Put folders on the list; one that is there already stays in its place."""
        self.settings.model_folders = list(dict.fromkeys([*self.settings.model_folders, *folders]))
        self.changed.emit()

    def take(self, found: Iterable[ModelFacts]) -> None:
        """Put models on the list whose facts are known already."""
        models = {facts.path: facts for facts in found}
        self.facts |= models
        self.add(models)

    def remove(self, folder: str) -> None:
        """Take a folder off the list; its files stay where they are."""
        self.settings.model_folders = [path for path in self.settings.model_folders if path != folder]
        if folder not in self.made_by:
            self.facts.pop(folder, None)
        self.changed.emit()

    def follow(self, jobs: Iterable[Job]) -> None:
        """Take the results of finished jobs on, and let go of those whose job was deleted."""
        made = {
            job.result: job.name
            for job in jobs
            if job.state is JobState.SUCCEEDED and job.kind in ("finetune", "quantize") and job.result
        }
        if made == self.made_by:
            return
        for gone in set(self.made_by) - set(made) - set(self.settings.model_folders):
            self.facts.pop(gone, None)
        self.made_by = made
        for path in set(made) & set(self.facts):
            self.facts[path] = self._named(self.facts[path])
        self.changed.emit()

    async def read(self, folder: str) -> None:
        """Read a folder's facts anew; one that is no usable model gets its problem told in them."""
        if folder in self._being_read:
            return
        self._being_read.add(folder)
        try:
            facts = await run.io_bound(self._ask, folder)
        finally:
            self._being_read.discard(folder)
        if facts is not None:  # None while the program ends
            self.facts[folder] = self._named(facts)
            self.changed.emit()

    def need(self, folder: str) -> None:
        """Read a folder in the background unless its facts are known."""
        if folder and folder not in self.facts and folder not in self._being_read:
            background_tasks.create(self.read(folder), name=f"read {folder}")

    async def read_missing(self) -> None:
        """Read all folders that have not been read yet, one after the other."""
        for folder in self.unread:
            await self.read(folder)

    def _named(self, facts: ModelFacts) -> ModelFacts:
        """Call what a job made by the job's name; its folder is often just called 'result'."""
        name = self.made_by.get(facts.path)
        return facts.model_copy(update={"name": name}) if name else facts

    def _ask(self, folder: str) -> ModelFacts:
        try:
            answer = self.inspector.call("listed_facts", _READ_TIMEOUT_S, path=folder)
            return ModelFacts.model_validate(answer)
        except AppError as error:
            return ModelFacts(path=folder, name=Path(folder).name or folder, problem=error.message, hint=error.hint)
