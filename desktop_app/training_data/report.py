"""A look at a data file before training: its layout, how many rows, which are bad, the first ones to read.

Constant memory; time grows with the file, so that a caller in a hurry gives a limit and learns that it was reached.
"""

import time
from collections.abc import Callable, Mapping
from pathlib import Path

from desktop_app.domain.data_report import DataReport, Preview, Turn
from desktop_app.domain.finetune_spec import Layout

from .example import Example
from .examples import Examples, read_examples

_PREVIEWS = 20
_PREVIEW_CHARACTERS = 4_000
_REPORTED_COLUMNS = 200


def data_report(
    path: Path,
    layout: Layout = "auto",
    columns: Mapping[str, str] | None = None,
    max_rows: int | None = None,
    progress: Callable[[int, int], None] | None = None,
    limit_s: float | None = None,
) -> DataReport:
    """Read a file up to `max_rows` usable rows or `limit_s` seconds and report what was found.

    `progress` is called now and then with the bytes read and the size of the file; what it raises ends the reading.

    Raises:
        DataError: if the file cannot be used at all.
    """
    examples = read_examples(path, layout, columns, "skip", max_rows)
    size_bytes = examples.size_bytes
    reached = 0

    def advance(byte_offset: int) -> None:
        nonlocal reached
        reached = min(byte_offset, size_bytes)
        if progress is not None:
            progress(reached, size_bytes)

    previews: list[Preview] = []
    end = time.monotonic() + limit_s if limit_s is not None else None
    for example in examples.read(advance):
        if len(previews) < _PREVIEWS:
            previews.append(_preview(example, examples.row_count))
        if end is not None and time.monotonic() > end:
            break
    return _report(examples, tuple(previews), reached)


def _report(examples: Examples, previews: tuple[Preview, ...], reached: int) -> DataReport:
    file, found = examples.file, examples.layout
    extra = {}
    if not examples.is_complete and reached:
        extra["estimated_rows"] = round(examples.row_count * file.size_bytes / reached)
    return DataReport(
        path=str(file.path),
        format=file.format,
        encoding=file.encoding,
        layout=found.name,
        evidence=found.evidence,
        columns=found.columns[:_REPORTED_COLUMNS],
        mapping=found.mapping,
        rows=examples.row_count,
        bad_row_count=examples.bad_row_count,
        bad_rows=tuple(examples.bad_rows),
        previews=previews,
        size_bytes=file.size_bytes,
        complete=examples.is_complete,
        extra=extra,
    )


def _preview(example: Example, row: int) -> Preview:
    turns = tuple(
        turn
        if len(turn.text) <= _PREVIEW_CHARACTERS
        else Turn(role=turn.role, text=turn.text[:_PREVIEW_CHARACTERS] + " …")
        for turn in example.turns
    )
    return Preview(row=row, turns=turns)
