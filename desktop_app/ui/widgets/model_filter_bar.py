"""Chips that choose which models the table shows: by kind and by the user's tags, each with its count."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from nicegui import ui

from desktop_app.domain.model_facts import ModelFacts
from desktop_app.storage.model_notes import ModelNote
from desktop_app.ui.model_filter import GROUP_NAMES, ModelFilter, group_counts

from .table_filter import chip_rule, filter_chip, search_field

_MOST_TAGS = 12


class ModelFilterBar:
    """`filter` is what is chosen now; `on_change` is called after each change of it."""

    def __init__(self, on_change: Callable[[], object]) -> None:
        self.filter = ModelFilter()
        self._on_change = on_change
        self._groups: set[str] = set()
        self._tags: set[str] = set()
        self._text = ""
        self._counts: tuple[object, ...] = ()

    def draw_search(self) -> None:
        """Draw the search field."""
        self._search = search_field("the models", self._set_text).mark("search-models")

    def draw_chips(self) -> None:
        """Make the place for the chips; `count` fills it."""
        self._chips = ui.row().classes("w-full items-center gap-2 px-4 py-2 shrink-0 rule-b")

    def count(self, models: Sequence[ModelFacts], notes: Mapping[str, ModelNote]) -> None:
        """Write the chips for the kinds and tags that occur."""
        groups = group_counts(models)
        tags = Counter(tag for facts in models for tag in notes.get(facts.path, ModelNote()).tags)
        self._groups &= set(groups)
        self._tags &= set(tags)
        counts = (tuple(sorted(groups.items())), tuple(sorted(tags.items())))
        if counts == self._counts:
            return
        self._counts = counts
        self._chips.clear()
        self._chips.set_visibility(len(groups) > 1 or bool(tags))
        with self._chips:
            for group, name in GROUP_NAMES.items():
                if groups[group]:
                    self._draw_chip(f"{name} {groups[group]:,}", group, self._groups)
            if tags:
                chip_rule()
            for tag, number in tags.most_common(_MOST_TAGS):
                self._draw_chip(f"{tag} {number:,}", tag, self._tags)
        self._remember()

    def clear(self) -> None:
        """Show everything again."""
        self._groups.clear()
        self._tags.clear()
        self._counts = ()
        if self._search.value:
            self._search.set_value("")
        self._text = ""
        self._changed()

    def _draw_chip(self, text: str, value: str, chosen: set[str]) -> None:
        def toggle(is_on: bool) -> None:
            (chosen.add if is_on else chosen.discard)(value)
            self._changed()

        with filter_chip(value in chosen, toggle).mark(f"show-{value}"):
            ui.label(text)

    def _set_text(self, text: str) -> None:
        self._text = text
        self._changed()

    def _changed(self) -> None:
        self._remember()
        self._on_change()

    def _remember(self) -> None:
        self.filter = ModelFilter(text=self._text, groups=frozenset(self._groups), tags=frozenset(self._tags))
