"""The examples of a data file, one after another; the same for the report and for training.

A row that cannot be used is counted and told, never dropped in silence.
"""

from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from desktop_app.domain.data_report import BadRow
from desktop_app.errors import DataError

from .example import Example
from .layout import FoundLayout, find_layout
from .lines import Progress, no_progress
from .reader import DataFile, open_data_file
from .row import Row
from .turns import RowProblem, tools_of, turns_of

_SAMPLE_ROWS = 100
_SAMPLE_TRIES = 10_000
_SAMPLE_BYTES = 256 * 1024 * 1024
_KEPT_BAD_ROWS = 100


class Examples:
    """Examples to iterate over, any number of times. The counts are those of the latest iteration.

    `bad_rows` keeps the first hundred. `is_complete` says whether the file was read to its end.
    """

    def __init__(
        self, file: DataFile, layout: FoundLayout, policy: Literal["stop", "skip"], max_rows: int | None
    ) -> None:
        self.file = file
        self.layout = layout
        self.row_count = 0
        self.bad_row_count = 0
        self.bad_rows: list[BadRow] = []
        self.is_complete = False
        self._policy = policy
        self._max_rows = max_rows

    def __iter__(self) -> Iterator[Example]:
        return self.read()

    def read(self, progress: Progress = no_progress) -> Iterator[Example]:
        """Read from the start; `progress` is told the byte offset reached, now and then.

        Raises:
            DataError: at the first bad row if the policy is 'stop'; if the file breaks off; if no row is usable.
        """
        self.row_count, self.bad_row_count, self.bad_rows, self.is_complete = 0, 0, [], False
        for number, row in enumerate(self.file.rows(progress), 1):
            if self.row_count == self._max_rows:
                return
            example = _bad(row, number) if isinstance(row, BadRow) else self._example(row, number)
            if isinstance(example, BadRow):
                self._count_bad(example)
                continue
            self.row_count += 1
            yield example
        self.is_complete = True
        if self.row_count == 0:
            raise _no_usable_row(self.file.path.name, self.bad_rows[:1])

    def _example(self, row: Row, number: int) -> Example | BadRow:
        try:
            turns = turns_of(row.columns, self.layout)
            tools = "" if self.layout.name == "text" else tools_of(row.columns)
        except (RowProblem, RecursionError) as error:
            reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)
            return _bad(BadRow(line=row.line, byte_offset=row.byte_offset, reason=reason), number)
        return Example(turns=turns, line=row.line, byte_offset=row.byte_offset, tools=tools, continues=row.continues)

    def _count_bad(self, bad: BadRow) -> None:
        if self._policy == "stop":
            raise DataError(
                f"{self.file.path.name}, {place_of(bad)}: {bad.reason}.", "Mend it, or choose to skip bad rows."
            )
        self.bad_row_count += 1
        if len(self.bad_rows) < _KEPT_BAD_ROWS:
            self.bad_rows.append(bad)


def read_examples(
    path: Path,
    layout: str = "auto",
    columns: Mapping[str, str] | None = None,
    bad_rows: Literal["stop", "skip"] = "skip",
    max_rows: int | None = None,
) -> Examples:
    """Find out how a file is laid out and return its examples; reads only the first rows now.

    `columns` says which column holds the prompt, completion, system or text. `max_rows` counts usable rows.

    Raises:
        DataError: if the file cannot be read, or no column can be learned from.
    """
    file = open_data_file(path)
    sample = _sample(file)
    if file.format == "text":
        found = FoundLayout(name="text", evidence="It is a plain text file.", mapping={"text": "text"})
        if layout not in ("auto", "text"):
            raise DataError(f"{path.name} is plain text and cannot be read as {layout}.", "Choose the layout text.")
    else:
        found = find_layout(sample, layout, columns or {}, path.name)
    return Examples(file, found, bad_rows, max_rows)


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
            problems.append(_bad(row, number))
        if len(sample) == _SAMPLE_ROWS:
            break
    if not sample:
        raise _no_usable_row(file.path.name, problems)
    return sample


def place_of(bad: BadRow) -> str:
    """Say where a bad row stands; rows of a Parquet file have no line and say their number in the reason."""
    return f"line {bad.line} (byte offset {bad.byte_offset})" if bad.line else "a row"


def _bad(bad: BadRow, number: int) -> BadRow:
    return bad if bad.line else bad.model_copy(update={"reason": f"row {number}: {bad.reason}"})


def _no_usable_row(name: str, problems: list[BadRow]) -> DataError:
    if not problems:
        return DataError(f"{name} holds no rows.", "Choose a file with one training example per row.")
    first = problems[0]
    return DataError(
        f"{name} holds no usable row; the first problem is {place_of(first)}: {first.reason}.",
        "Mend the file, or choose another layout.",
    )
