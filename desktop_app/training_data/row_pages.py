"""Pages of rows to browse, in file order, bad and left-out ones too.

Remembers where rows stand, so that the next page of a large file is not read from its start.
"""

from bisect import bisect_right
from collections.abc import Iterator
from itertools import islice

from desktop_app.domain.data_report import DataRow, RowPage

from .examples import ADDED, Examples, Item, Place
from .lines import Progress, no_progress
from .report import shortened

ROWS_AT_MOST = 200
_TURN_CHARACTERS = 20_000
_EVERY_ROWS = 500


class RowPages:
    """The rows of one choice of data, as long as its files do not change."""

    def __init__(self, examples: Examples) -> None:
        self._examples = examples
        self._indices = [0]
        self._places = [Place()]

    def page(self, start: int, count: int, progress: Progress = no_progress) -> RowPage:
        """Return `count` rows (at most 200) from index `start`, counted from 0.

        Raises:
            DataError: if a file breaks off before them.
        """
        count = min(count, ROWS_AT_MOST)
        found = list(islice(self._from(start, progress), count + 1))
        return RowPage(start=start, rows=tuple(self._row(item) for item in found[:count]), is_last=len(found) <= count)

    def item(self, start: int, progress: Progress = no_progress) -> Item | None:
        """Return one row, None if there are fewer. Raises as `page`."""
        return next(self._from(start, progress), None)

    def _from(self, start: int, progress: Progress) -> Iterator[Item]:
        nearest = bisect_right(self._indices, start) - 1
        index = self._indices[nearest]
        for item in self._examples.rows_from(self._places[nearest], progress):
            if index > self._indices[-1]:
                self._remember(index, item)
            if index >= start:
                yield item
            index += 1

    def _remember(self, index: int, item: Item) -> None:
        if item.source == ADDED:
            return
        is_first = item.number == 1
        can_resume = self._examples.sources[item.source].file.can_resume and item.line > 0
        if is_first or (can_resume and index - self._indices[-1] >= _EVERY_ROWS):
            self._indices.append(index)
            self._places.append(
                Place(item.source) if is_first else Place(item.source, item.number, item.line, item.byte_offset)
            )

    def _row(self, item: Item) -> DataRow:
        source = "" if item.source == ADDED else str(self._examples.sources[item.source].file.path)
        example = item.example
        turns = example.turns if example else ()
        rejected = example.rejected if example else ()
        return DataRow(
            source=source,
            number=item.number,
            line=item.line,
            byte_offset=item.byte_offset,
            turns=tuple(shortened(turn, _TURN_CHARACTERS) for turn in turns),
            prompt_turns=example.prompt_turns if example else 0,
            rejected=tuple(shortened(turn, _TURN_CHARACTERS) for turn in rejected),
            label=example.label if example else None,
            tools=example.tools if example else "",
            state=item.state,
            problem=item.bad.reason if item.bad else "",
        )
