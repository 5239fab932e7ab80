"""Write data and its report for others: rows as JSON lines, the report as JSON, CSV or Markdown.

A spreadsheet runs what begins like a formula: in CSV such texts get a quote mark before them, as OWASP advises.
"""

import csv
import io
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from desktop_app.domain.data_choice import DataChoice
from desktop_app.domain.data_report import DataReport
from desktop_app.durable_file import sync_dir, write_synced
from desktop_app.errors import DataError, StorageError

from .examples import examples_of
from .lines import Progress, no_progress
from .written_row import row_of

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\0", "＝", "＋", "－", "＠")


def export_rows(data: DataChoice, target: Path, progress: Progress = no_progress) -> tuple[int, int]:
    """Write every usable row with the user's edits to a new JSONL file; return how many, and how many were bad.

    Raises:
        DataError: the data cannot be read, or the target is one of the files.
        StorageError: the target cannot be written.
    """
    examples = examples_of(data)
    if any(source.file.path.resolve() == target.resolve() for source in examples.sources):
        raise DataError(f"{target.name} is the data itself, which stays untouched.", "Choose another name.")
    aside = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        with aside.open("w", encoding="utf-8", newline="\n") as stream:
            for example in examples.read(progress):
                stream.write(json.dumps(row_of(example), ensure_ascii=False, allow_nan=False) + "\n")
            stream.flush()
            os.fsync(stream.fileno())
        aside.replace(target)
        sync_dir(target.parent)
    except OSError as error:
        raise _unwritable(target, error) from error
    finally:
        aside.unlink(missing_ok=True)
    return examples.row_count, examples.bad_row_count


def export_report(report: DataReport, target: Path) -> None:
    """Write a report; the ending of `target` says how: .json, .csv or .md.

    Raises:
        StorageError: it has another ending, or cannot be written.
    """
    suffix = target.suffix.lower()
    if suffix == ".json":
        text = json.dumps(report.model_dump(mode="json"), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    elif suffix == ".csv":
        text = csv_text(list(_lines(report)))
    elif suffix == ".md":
        text = "".join(f"| {' | '.join(_markdown(str(cell)) for cell in line)} |\n" for line in _table(report))
    else:
        raise StorageError(f"A report cannot be written as {suffix or target.name}.", "Choose .json, .csv or .md.")
    try:
        write_synced(target, text)
    except OSError as error:
        raise _unwritable(target, error) from error


def csv_text(lines: list[tuple[Any, ...]]) -> str:
    """Write cells as CSV; numbers stay numbers, a text that begins like a formula gets a quote mark before it."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerows([[_safe(cell) for cell in line] for line in lines])
    return out.getvalue()


def _safe(cell: Any) -> Any:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell


def _lines(report: DataReport) -> Iterator[tuple[Any, ...]]:
    """Yield the report as lines of: what, file, line, byte offset, row, count, text."""
    yield ("what", "file", "line", "byte offset", "row", "count", "text")
    yield ("layout", report.path, "", "", "", "", f"{report.layout}. {report.evidence}")
    yield ("usable rows", report.path, "", "", "", report.rows, "")
    yield ("bad rows", report.path, "", "", "", report.bad_row_count, "")
    for source in report.sources:
        yield ("file", source.path, "", "", "", source.rows, f"{source.layout}; {source.bad_rows} bad rows")
    for reason, count in report.bad_reasons:
        yield ("reason", report.path, "", "", "", count, reason)
    for bad in report.bad_rows:
        yield ("bad row", bad.source or report.path, bad.line, bad.byte_offset, bad.number, "", bad.reason)
    for finding in report.findings:
        yield (finding.code, report.path, "", "", "", finding.count, finding.message)
        for row in finding.examples:
            yield (finding.code, row.source or report.path, row.line, row.byte_offset, row.number, "", row.reason)
    if report.statistics is not None:
        for name, value in report.statistics.model_dump(exclude={"histogram", "notes", "model"}).items():
            yield ("tokens", report.path, "", "", "", value, name.replace("_", " "))
        for bound, count in report.statistics.histogram:
            yield ("length", report.path, "", "", "", count, f"up to {bound} tokens")


def _table(report: DataReport) -> Iterator[tuple[Any, ...]]:
    header, *lines = _lines(report)
    yield header
    yield ("---",) * len(header)
    yield from lines


def _markdown(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")


def _unwritable(target: Path, error: OSError) -> StorageError:
    return StorageError(f"{target} cannot be written: {error.strerror}.", "Choose another folder, or free some space.")
