"""Which models a table shows, and how models hang together: what a model was made from, and what depends on it.

Works on facts and notes alone; draws nothing.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from desktop_app.domain.model_facts import ModelFacts
from desktop_app.storage.model_notes import ModelNote

Group = Literal["model", "quantized", "adapter", "gguf", "problem"]
GROUP_NAMES: dict[Group, str] = {
    "model": "Models",
    "quantized": "Quantized",
    "adapter": "Adapters",
    "gguf": "GGUF",
    "problem": "With a problem",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFilter:
    """All words of `text` occur, the group is among `groups` and a tag among `tags` (none chosen: any)."""

    text: str = ""
    groups: frozenset[str] = frozenset()
    tags: frozenset[str] = frozenset()

    def accepts(self, facts: ModelFacts, note: ModelNote, made_by: str) -> bool:
        """Whether the model is shown."""
        if self.groups and group_of(facts) not in self.groups:
            return False
        if self.tags and not self.tags.intersection(note.tags):
            return False
        words = self.text.lower().split()
        if not words:
            return True
        parts = (facts.name, facts.path, facts.architecture, facts.quantization, facts.dtype, facts.licence)
        more = (facts.base_model, facts.store, facts.problem, note.note, made_by, *note.tags)
        searched = "\n".join((*parts, *more)).lower()
        return all(word in searched for word in words)


def group_of(facts: ModelFacts) -> Group:
    """Say in which of the groups a model is listed; a GGUF file is not a problem by itself."""
    if facts.kind == "gguf":
        return "gguf"
    if facts.problem and not facts.architecture:
        return "problem"
    if facts.kind == "adapter":
        return "adapter"
    return "quantized" if facts.quantization else "model"


def group_counts(models: Iterable[ModelFacts]) -> Counter[Group]:
    """Count the models of each group."""
    return Counter(group_of(facts) for facts in models)


def dependents(path: str, models: Iterable[ModelFacts]) -> list[ModelFacts]:
    """Return the models that need the one at `path` (adapters) or were made from it."""
    return [facts for facts in models if facts.path != path and path in sources(facts)]


def needing(path: str, models: Iterable[ModelFacts]) -> list[ModelFacts]:
    """Return the adapters that cannot be loaded without the model at `path`."""
    return [facts for facts in models if facts.path != path and _same(facts.base_model, path)]


def sources(facts: ModelFacts) -> list[str]:
    """Return the paths of what a model was made from or belongs to, as they are stated."""
    stated = (facts.base_model, facts.origin.source if facts.origin else "")
    return [str(Path(path)) for path in dict.fromkeys(stated) if path]


def _same(stated: str, path: str) -> bool:
    return bool(stated) and str(Path(stated)) == path
