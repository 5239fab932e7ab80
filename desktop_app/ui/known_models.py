"""The models this window knows: in folders the user listed or has watched, in caches, and what finished jobs made.

Reads models only through the inspect service, in a thread. `changed` tells whoever draws them.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

from nicegui import Event, background_tasks, run

from desktop_app.domain.job import Job, JobState, models_of
from desktop_app.domain.model_facts import ModelFacts
from desktop_app.errors import AppError
from desktop_app.library.folder_watch import FolderWatch
from desktop_app.library.model_stores import model_stores
from desktop_app.paths import model_notes_file, models_dir
from desktop_app.services.client import Service, ServiceBusy
from desktop_app.settings import Settings
from desktop_app.storage.model_notes import ModelNotes

_READ_TIMEOUT_S = 20.0
_WALK_TIMEOUT_S = 120.0
_TIMES = 3  # that a helper is asked which is not ready: what it says stands in the list until the model is read anew
_MAKING_KINDS = ("finetune", "quantize", "convert", "export")


class KnownModels:
    """Facts by path, in the order of the list: listed ones first, then those of watched folders, then those made here.

    `notes` are the user's own words about models.
    """

    def __init__(self, settings: Settings, inspector: Service) -> None:
        self.settings = settings
        self.inspector = inspector
        self.facts: dict[str, ModelFacts] = {}
        self.walker = Service("probe", idle_s=1.0)
        self._walked: set[str] = set()
        self.made_by: dict[str, str] = {}  # folder of a result -> its name, after the job that made it
        self.changed = Event[[]]()
        self.notes = ModelNotes.read(model_notes_file())
        self._found: dict[str, list[str]] = {}  # watched folder -> models in it
        self._watch = FolderWatch()
        self._left_alone: set[str] = set()
        self._being_read: set[str] = set()

    @property
    def paths(self) -> list[str]:
        """All models by their folder or file, without doubles."""
        found = (path for paths in self._found.values() for path in paths)
        return list(dict.fromkeys([*self.settings.model_folders, *found, *self.made_by]))

    @property
    def unread(self) -> list[str]:
        """The folders that have not been read yet."""
        return [path for path in self.paths if path not in self.facts]

    def add(self, folders: Iterable[str]) -> None:
        """Put folders on the list; one that is there already stays in its place."""
        self.settings.model_folders = list(dict.fromkeys([*self.settings.model_folders, *folders]))
        self.changed.emit()

    def roots(self) -> list[str]:
        """Return the folders that are searched: the user's, those of other programs, our own. Asks the disk."""
        stores = [str(store.folder) for store in model_stores()] if self.settings.look_in_caches else []
        own = [str(models_dir())] if models_dir().is_dir() else []
        return list(dict.fromkeys([*self.settings.watched_folders, *stores, *own]))

    def roots_to_search(self) -> list[str]:
        """Return those in which something has changed, or that were not searched yet. Asks the disk."""
        roots = self.roots()
        changed = self._watch.changed()
        return [root for root in roots if root in changed or (root not in self._found and root not in self._left_alone)]

    def watch(self, folder: str) -> None:
        """Search a folder from now on, and again whenever it changes."""
        self.settings.watched_folders = list(dict.fromkeys([*self.settings.watched_folders, folder]))
        self._left_alone.discard(folder)

    def unwatch(self, folder: str) -> None:
        """No longer search a folder; its models go off the list, their files stay."""
        self.settings.watched_folders = [root for root in self.settings.watched_folders if root != folder]
        self.forget_root(folder)

    def forget_root(self, root: str) -> None:
        """Take what was found below a root off the list."""
        self._watch.forget(root)
        self._found.pop(root, None)
        for path in set(self.facts) - set(self.paths):
            del self.facts[path]
        self.changed.emit()

    def take(self, root: str, models: Iterable[ModelFacts]) -> None:
        """List models of a root that is being searched, whose facts are known already."""
        listed = self._found.setdefault(root, [])
        for facts in models:
            self.facts[facts.path] = self._named(facts)
            if facts.path not in listed:
                listed.append(facts.path)
        self.changed.emit()

    def searched(self, root: str, paths: list[str], folders: Mapping[str, int]) -> None:
        """Take note that a root was searched whole: what it holds, and how its folders looked."""
        self._found[root] = paths
        self._watch.remember(root, folders)
        for path in set(self.facts) - set(self.paths):
            del self.facts[path]
        self.changed.emit()

    def leave_alone(self, roots: Iterable[str]) -> None:
        """Do not search these again by itself unless they change: the user stopped it, or it failed."""
        self._left_alone |= set(roots)

    def remove(self, folder: str) -> None:
        """Take a folder off the list; its files stay where they are."""
        self.settings.model_folders = [path for path in self.settings.model_folders if path != folder]
        if folder not in self.paths:
            self.facts.pop(folder, None)
        self.changed.emit()

    def follow(self, jobs: Iterable[Job]) -> None:
        """Take the results of finished jobs on, and let go of those whose job was deleted."""
        made = {
            path: name
            for job in jobs
            if job.state is JobState.SUCCEEDED and job.kind in _MAKING_KINDS
            for path, name in models_of(job).items()
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

    def need_layers(self, folder: str) -> None:
        """Let a worker count the layers of a model whose family is not known here, once, then read it anew."""
        facts = self.facts.get(folder)
        is_unknown = facts is not None and facts.kind == "base" and not facts.problem and not facts.shape.matrices
        if is_unknown and folder not in self._walked:
            self._walked.add(folder)
            background_tasks.create(self._walk(folder), name=f"count the layers of {folder}")

    async def _walk(self, folder: str) -> None:
        try:
            await run.io_bound(self.walker.call, "walk", _WALK_TIMEOUT_S, path=folder)
        except AppError as error:
            facts = self.facts.get(folder)
            if facts is not None:
                why = f"its layers could not be counted ({error.message.rstrip('.')})"
                shape = facts.shape.model_copy(update={"unknown_because": why})
                self.facts[folder] = facts.model_copy(update={"shape": shape})
                self.changed.emit()
            return
        await self.read(folder)

    async def read_missing(self) -> None:
        """Read all folders that have not been read yet, one after the other."""
        for folder in self.unread:
            await self.read(folder)

    def _named(self, facts: ModelFacts) -> ModelFacts:
        """Call what a job made by the job's name; its folder is often just called 'result'."""
        name = self.made_by.get(facts.path)
        return facts.model_copy(update={"name": name}) if name else facts

    def _ask(self, folder: str, times: int = _TIMES) -> ModelFacts:
        try:
            answer = self.inspector.call("listed_facts", _READ_TIMEOUT_S, path=folder)
            return ModelFacts.model_validate(answer)
        except AppError as error:
            if isinstance(error, ServiceBusy) and times > 1:
                return self._ask(folder, times - 1)
            return ModelFacts(path=folder, name=Path(folder).name or folder, problem=error.message, hint=error.hint)
