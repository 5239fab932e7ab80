"""Search field and chips that choose which jobs a table shows; the chips say how many there are of each.

Archived jobs have a chip of their own: with it they are shown, and counted by the others, alone.
"""

from collections import Counter
from collections.abc import Callable, Sequence

from nicegui import ui

from desktop_app.domain.job import Job, JobState

from .job_rows import KIND_NAMES, JobFilter
from .widgets.job_dot import job_dot
from .widgets.table_filter import chip_rule, filter_chip, search_field

_MOST_TAGS = 8


class JobFilterBar:
    """`filter` is what is chosen now; `on_change` is called after each change of it."""

    def __init__(self, on_change: Callable[[], object]) -> None:
        self.filter = JobFilter()
        self._on_change = on_change
        self._states: set[JobState] = set()
        self._kinds: set[str] = set()
        self._tags: set[str] = set()
        self._is_archived = False
        self._text = ""
        self._counts: tuple[object, ...] = ()
        self._search: ui.input | None = None

    def draw_search(self, what: str) -> None:
        """Draw the search field; `what` says what it searches, for screen readers."""
        self._search = search_field(what, self._set_text)

    def show_search(self, is_shown: bool) -> None:
        """Show the search field or take it away, where there is nothing to search."""
        if self._search is not None:
            self._search.set_visibility(is_shown)

    def draw_chips(self, classes: str = "", with_kinds: bool = True) -> None:
        """Make the place for the chips; `count` fills it."""
        self._with_kinds = with_kinds
        self._chips = ui.row().classes(f"items-center gap-2 {classes}")

    def count(self, jobs: Sequence[Job]) -> None:
        """Write the chips for the kinds, states and tags that occur in `jobs`; call before `filter` is asked."""
        archived = sum(job.is_archived for job in jobs)
        if self._is_archived and not archived:  # the last one was brought back
            self._is_archived = False
            self._remember()
        jobs = [job for job in jobs if job.is_archived is self._is_archived]
        kinds, states = Counter(job.kind for job in jobs), Counter(job.state for job in jobs)
        tags = Counter(tag for job in jobs for tag in job.tags)
        counts = (tuple(sorted(kinds.items())), tuple(sorted(states.items())), tuple(sorted(tags.items())), archived)
        if counts == self._counts:
            return
        self._counts = counts
        self._chips.clear()
        with self._chips:
            shown_kinds = [kind for kind in KIND_NAMES if kinds[kind] or kind in self._kinds]
            if self._with_kinds and len(shown_kinds) > 1:
                for kind in shown_kinds:
                    self._draw_chip(f"{KIND_NAMES[kind]} {kinds[kind]:,}", kind, self._kinds)
                chip_rule()
            shown_states = [state for state in JobState if states[state] or state in self._states]
            for state in shown_states:
                self._draw_chip(f"{state.value.capitalize()} {states[state]:,}", state, self._states)
            self._draw_marks(tags, archived)

    def clear(self) -> None:
        """Show everything again."""
        self._states.clear()
        self._kinds.clear()
        self._tags.clear()
        self._is_archived = False
        self._counts = ()
        if self._search is not None and self._search.value:
            self._search.set_value("")
        self._changed()

    def _draw_marks(self, tags: Counter[str], archived: int) -> None:
        shown = [tag for tag, _ in tags.most_common(_MOST_TAGS)]
        shown += [tag for tag in sorted(self._tags) if tag not in shown]
        if shown or archived:
            chip_rule()
        for tag in shown:
            self._draw_chip(f"{tag} {tags[tag]:,}", tag, self._tags)
        if archived:
            with filter_chip(self._is_archived, self._set_archived).mark("show-archived"):
                ui.label(f"Archived {archived:,}")

    def _draw_chip(self, text: str, value: str, chosen: set[str] | set[JobState]) -> None:
        def toggle(is_on: bool) -> None:
            (chosen.add if is_on else chosen.discard)(value)  # type: ignore[arg-type]
            self._changed()

        with filter_chip(value in chosen, toggle):
            if isinstance(value, JobState):
                job_dot(value, is_named=False).classes("mr-1.5")
            ui.label(text)

    def _set_archived(self, is_archived: bool) -> None:
        self._is_archived = is_archived
        self._changed()

    def _set_text(self, text: str) -> None:
        self._text = text
        self._changed()

    def _changed(self) -> None:
        self._remember()
        self._on_change()

    def _remember(self) -> None:
        self.filter = JobFilter(
            text=self._text,
            states=frozenset(self._states),
            kinds=frozenset(self._kinds),
            tags=frozenset(self._tags),
            is_archived=self._is_archived,
        )
