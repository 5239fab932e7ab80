"""The examples of data files, one after another; the same for the report, the preview and training.

A row that cannot be used is counted and told, never dropped in silence. The user's edits are worked in here.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from desktop_app.domain.data_choice import DataChoice
from desktop_app.domain.data_report import BadRow, FindingCode
from desktop_app.domain.finetune_spec import BadRows, Layout
from desktop_app.errors import DataError

from .example import Example
from .layout import FoundLayout, find_layout
from .lines import Progress, no_progress
from .overlay import Overlay, read_overlay
from .reader import DataFile, open_data_file
from .row import Row
from .row_parts import parts_of
from .sources import data_files
from .turns import RowProblem, tools_of

_SAMPLE_ROWS = 100
_SAMPLE_TRIES = 10_000
_SAMPLE_BYTES = 256 * 1024 * 1024
_KEPT_BAD_ROWS = 100
_KEPT_REASONS = 1000
ADDED = -1  # the `source` of rows that the user added

State = Literal["", "changed", "added", "left_out"]


@dataclass(frozen=True, slots=True)
class Item:
    """One row in its place with what became of it: an example, a bad row, or neither if it is left out.

    `code` names the finding that a bad row belongs to; `columns` are those of the file, or of the user's edit.
    """

    source: int
    number: int
    line: int
    byte_offset: int
    example: Example | None
    bad: BadRow | None = None
    state: State = ""
    code: FindingCode | None = None
    columns: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Where reading can begin: at the first row of a source, or at any row of a file that can be read on."""

    source: int = 0
    number: int = 1
    line: int = 1
    byte_offset: int = 0


@dataclass(frozen=True, slots=True)
class Source:
    """One file with its layout."""

    file: DataFile
    layout: FoundLayout


class Examples:
    """Examples to iterate over, any number of times. The counts are those of the latest iteration.

    `bad_rows` keeps the first hundred, `bad_reasons` counts all by their reason. `is_complete` says whether
    everything was read to its end.
    """

    def __init__(self, sources: list[Source], choice: DataChoice) -> None:
        self.sources = sources
        self.choice = choice
        self._is_one = len(sources) == 1
        self._overlay = read_overlay(Path(choice.overlay)) if choice.overlay else Overlay()
        self._folder = Path(choice.overlay).absolute().parent
        self._start()

    def _start(self) -> None:
        self.row_count, self.bad_row_count, self.is_complete = 0, 0, False
        self.bad_rows: list[BadRow] = []
        self.bad_reasons: Counter[str] = Counter()
        self.states: Counter[State] = Counter()
        self.rows_of_source = [0] * len(self.sources)
        self.bad_rows_of_source = [0] * len(self.sources)

    @property
    def file(self) -> DataFile:
        """The first file."""
        return self.sources[0].file

    @property
    def layout(self) -> FoundLayout:
        """The layout of the first file."""
        return self.sources[0].layout

    @property
    def name(self) -> str:
        """What messages call the data."""
        return self.file.path.name if self._is_one else f"{self.file.path.name} and {len(self.sources) - 1} more files"

    @property
    def size_bytes(self) -> int:
        """Bytes of all files."""
        return sum(source.file.size_bytes for source in self.sources)

    def __iter__(self) -> Iterator[Example]:
        return self.read()

    def read(self, progress: Progress = no_progress) -> Iterator[Example]:
        """Read from the start; `progress` is told the bytes read, now and then.

        Raises:
            DataError: at a bad row that the choice does not allow; if a file breaks off; if no row is usable.
        """
        for item in self.items(progress):
            if item.example is not None:
                yield item.example

    def items(self, progress: Progress = no_progress) -> Iterator[Item]:
        """Read as `read` does, but tell of every row what became of it.

        Raises:
            DataError: as `read`.
        """
        self._start()
        for item in self._items(progress):
            if item.example is not None:
                if self.row_count == self.choice.max_rows:
                    return
                self.row_count += 1
                if item.source != ADDED:
                    self.rows_of_source[item.source] += 1
            elif item.bad is not None:
                self._count_bad(item.bad, item.source)
            if item.state:
                self.states[item.state] += 1
            yield item
        self.is_complete = True
        if self.row_count == 0:
            raise _no_usable_row(self.name, self.bad_rows[:1])

    def rows_from(self, place: Place, progress: Progress = no_progress) -> Iterator[Item]:
        """Read on from a place, without counting: for looking at rows, not for training.

        Raises:
            DataError: if a file breaks off.
        """
        return self._items(progress, place)

    def _items(self, progress: Progress, place: Place | None = None) -> Iterator[Item]:
        place = place or Place()
        read_bytes = 0
        for index, source in enumerate(self.sources):
            start = read_bytes
            read_bytes += source.file.size_bytes
            if index < place.source or place.source == ADDED:
                continue
            here = place if index == place.source else Place()
            edits = self._overlay.rows_of(source.file.path, self._folder)
            rows = source.file.rows(
                lambda offset, start=start: progress(start + offset),  # type: ignore[misc]
                here.line,
                here.byte_offset,
            )
            for number, row in enumerate(rows, here.number):
                if edits and number in edits:
                    yield self._edited(index, number, row, edits[number])
                else:
                    yield self._item(index, number, row, source.layout)
        for number, columns in enumerate(self._overlay.added, 1):
            yield self._item(ADDED, number, Row(0, 0, columns), _layout_of_edit(columns), "added")

    def _item(self, index: int, number: int, row: Row | BadRow, layout: FoundLayout, state: State = "") -> Item:
        line, byte_offset = row.line, row.byte_offset
        if isinstance(row, BadRow):
            return Item(index, number, line, byte_offset, None, self._bad(index, number, row), state)
        try:
            parts = parts_of(row.columns, layout)
            tools = "" if layout.name == "text" else tools_of(row.columns)
        except (RowProblem, RecursionError) as error:
            reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)
            bad = self._bad(index, number, BadRow(line=line, byte_offset=byte_offset, reason=reason))
            code = getattr(error, "code", None)
            return Item(index, number, line, byte_offset, None, bad, state, code, row.columns)
        example = Example(
            turns=parts.turns,
            line=line,
            byte_offset=byte_offset,
            tools=tools,
            continues=row.continues,
            prompt_turns=parts.prompt_turns,
            rejected=parts.rejected,
            label=parts.label,
            source=index,
            number=number,
        )
        return Item(index, number, line, byte_offset, example, None, state, None, row.columns)

    def _edited(self, index: int, number: int, row: Row | BadRow, edit: Mapping[str, Any] | None) -> Item:
        if edit is None:
            return Item(index, number, row.line, row.byte_offset, None, None, "left_out")
        continues = isinstance(row, Row) and row.continues
        changed = Row(row.line, row.byte_offset, dict(edit), continues)
        return self._item(index, number, changed, _layout_of_edit(edit), "changed")

    def _bad(self, index: int, number: int, bad: BadRow) -> BadRow:
        reason = bad.reason if bad.line else f"row {number}: {bad.reason}"
        source = "" if self._is_one or index == ADDED else str(self.sources[index].file.path)
        return bad.model_copy(update={"reason": reason, "source": source, "number": number})

    def _count_bad(self, bad: BadRow, source: int) -> None:
        choice, name = self.choice, Path(bad.source).name or self.file.path.name
        self.bad_row_count += 1
        too_many = choice.max_bad_rows is not None and self.bad_row_count > choice.max_bad_rows
        if choice.bad_rows == "stop":
            raise DataError(f"{name}, {place_of(bad)}: {bad.reason}.", "Mend it, or choose to skip bad rows.")
        if too_many:
            raise DataError(
                f"{name}, {place_of(bad)}: {bad.reason}. That is one more than the {choice.max_bad_rows:,} allowed.",
                "Mend the rows, or allow more of them.",
            )
        if source != ADDED:
            self.bad_rows_of_source[source] += 1
        reason = _without_place(bad)
        if reason in self.bad_reasons or len(self.bad_reasons) < _KEPT_REASONS:
            self.bad_reasons[reason] += 1
        if len(self.bad_rows) < _KEPT_BAD_ROWS:
            self.bad_rows.append(bad)


def read_examples(
    path: Path,
    layout: Layout = "auto",
    columns: Mapping[str, str] | None = None,
    bad_rows: BadRows = "skip",
    max_rows: int | None = None,
) -> Examples:
    """Open one file or folder, in the words of a `DataChoice`; reads only the first rows now.

    Raises:
        DataError: as `examples_of`.
    """
    choice = DataChoice(
        paths=(str(path),), layout=layout, columns=dict(columns or {}), bad_rows=bad_rows, max_rows=max_rows
    )
    return examples_of(choice)


def examples_of(choice: DataChoice) -> Examples:
    """Find out how the files of a choice are laid out and return their examples; reads only the first rows now.

    Raises:
        DataError: if a file cannot be read, or no column can be learned from.
    """
    return Examples([_source(path, choice) for path in data_files(choice.paths)], choice)


def _source(path: Path, choice: DataChoice) -> Source:
    file = open_data_file(path)
    if file.format != "text":
        return Source(file, find_layout(_sample(file), choice.layout, choice.columns, path.name))
    if choice.layout not in ("auto", "text"):
        raise DataError(f"{path.name} is plain text and cannot be read as {choice.layout}.", "Choose the layout text.")
    return Source(file, FoundLayout(name="text", evidence="It is a plain text file.", mapping={"text": "text"}))


def check_edit(row: Mapping[str, Any]) -> None:
    """Refuse a row of the user's that could not be used.

    Raises:
        DataError: saying what is wrong with it.
    """
    try:
        parts_of(row, _layout_of_edit(row))
        tools_of(row)
    except (RowProblem, RecursionError) as error:
        raise DataError(f"The row cannot be used: {error}.", "Fill in what is missing.") from error


def _layout_of_edit(row: Mapping[str, Any]) -> FoundLayout:
    """Say how a row that the user wrote is laid out: always in one of the forms of a `RowEdit`."""
    if "text" in row:
        return FoundLayout(name="text", evidence="", mapping={"text": "text"})
    if "chosen" in row:
        return FoundLayout(name="preference", evidence="")
    if "label" in row:
        return FoundLayout(
            name="kto", evidence="", mapping={"prompt": "prompt", "completion": "completion", "label": "label"}
        )
    return FoundLayout(name="messages", evidence="", mapping={"messages": "messages"})


def _sample(file: DataFile) -> list[dict[str, Any]]:
    """Return the columns of the first good rows; there is at least one."""
    sample: list[dict[str, Any]] = []
    problems: list[BadRow] = []

    def stop_looking(byte_offset: int) -> None:
        if byte_offset > _SAMPLE_BYTES and not sample:
            raise _no_usable_row(file.path.name, problems)

    for number, row in enumerate(islice(file.rows(stop_looking), _SAMPLE_TRIES), 1):
        if isinstance(row, Row):
            sample.append(row.columns)
        elif not problems:
            reason = row.reason if row.line else f"row {number}: {row.reason}"
            problems.append(row.model_copy(update={"reason": reason}))
        if len(sample) == _SAMPLE_ROWS:
            break
    if not sample:
        raise _no_usable_row(file.path.name, problems)
    return sample


def place_of(bad: BadRow) -> str:
    """Say where a bad row stands; rows of a Parquet file have no line and say their number in the reason."""
    return f"line {bad.line} (byte offset {bad.byte_offset})" if bad.line else "a row"


def bad_rows_sentence(examples: Examples, refused: int = 0) -> str:
    """Say how many rows were left out and where the first one stands; `refused` ones by the template. Empty if none."""
    count = examples.bad_row_count + refused
    if not count:
        return ""
    first = next(iter(examples.bad_rows), None)
    where = "" if first is None else f": {'' if count == 1 else 'the first, '}{place_of(first)}: {first.reason}"
    return f"{count:,} row{' cannot be used and is' if count == 1 else 's cannot be used and are'} left out{where}."


def _without_place(bad: BadRow) -> str:
    """Return the reason without what differs from row to row, so that equal ones can be counted."""
    reason = bad.reason if bad.line else bad.reason.partition(": ")[2]
    return reason.partition(" at column ")[0].partition(" at byte offset ")[0]


def _no_usable_row(name: str, problems: list[BadRow]) -> DataError:
    if not problems:
        return DataError(f"{name} holds no rows.", "Choose a file with one training example per row.")
    first = problems[0]
    return DataError(
        f"{name} holds no usable row; the first problem is {place_of(first)}: {first.reason}.",
        "Mend the file, or choose another layout.",
    )
