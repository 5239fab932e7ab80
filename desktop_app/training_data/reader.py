"""One streaming reader for every kind of data file: what a file is, and its rows one after another.

Knows bytes, lines and columns, not what a row means for training. Never holds more than a few rows.
"""

import json
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from desktop_app.domain.data_report import BadRow
from desktop_app.errors import DataError

from .columnar_rows import arrow_rows, parquet_rows
from .csv_rows import csv_rows
from .json_rows import json_rows, jsonl_rows
from .layout import CHAT_COLUMNS
from .lines import Progress, lines, no_progress
from .row import ROW_LIMIT_BYTES, Row
from .text_rows import text_rows

FORMATS = ("jsonl", "json", "csv", "tsv", "parquet", "arrow", "text")
SUFFIXES = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".arrow": "arrow",
    ".feather": "arrow",
    ".ipc": "arrow",
    ".txt": "text",
    ".text": "text",
    ".md": "text",
    ".markdown": "text",
}
_SAMPLE_BYTES = 64 * 1024
_BOM = b"\xef\xbb\xbf"
_SAVE_AS_UTF8 = "Save it as UTF-8 (in most editors: Save as, Encoding), then choose it again."
_EXPORT = "Export the rows as JSONL, JSON, CSV, Parquet or plain text."
# First bytes of files that people take for data files.
_MAGIC = (
    (b"PK\x03\x04", "a ZIP archive or an Excel or Word file"),
    (b"\xd0\xcf\x11\xe0", "an old Excel or Word file"),
    (b"\x1f\x8b", "packed with gzip"),
    (b"\x28\xb5\x2f\xfd", "packed with Zstandard"),
    (b"%PDF", "a PDF"),
    (b"SQLite format 3", "an SQLite database"),
    (b"\x89PNG", "a picture"),
    (b"\xff\xd8\xff", "a picture"),
    (b"GGUF", "a GGUF model"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DataFile:
    """A data file that looks readable. `start` is the byte after a byte order mark."""

    path: Path
    format: str
    encoding: str
    size_bytes: int
    start: int = 0
    line_end: bytes = b"\n"

    @property
    def can_resume(self) -> bool:
        """Whether reading can begin at any row whose line and byte offset are known."""
        return self.format == "jsonl"

    def rows(self, progress: Progress = no_progress, line: int = 1, byte_offset: int = 0) -> Iterator[Row | BadRow]:
        """Read the rows from the start, or from the row at a place; a bad one comes with its reason in place of a row.

        Raises:
            DataError: where the file as a whole cannot be read on.
        """
        if self.format in ("parquet", "arrow"):
            yield from (parquet_rows if self.format == "parquet" else arrow_rows)(self.path, progress)
            return
        try:
            with self.path.open("rb") as stream:
                yield from self._text_rows(stream, progress, line, max(byte_offset, self.start))
        except OSError as error:
            raise DataError(f"{self.path} cannot be read: {error.strerror}.", "Is the disk still there?") from error

    def _text_rows(self, stream: BinaryIO, progress: Progress, line: int, byte_offset: int) -> Iterator[Row | BadRow]:
        if self.format == "json":
            return json_rows(stream, self.start, self.path.name, progress)
        found = lines(stream, byte_offset, self.line_end, progress, line)
        if self.format == "jsonl":
            return jsonl_rows(found)
        if self.format in ("csv", "tsv"):
            return csv_rows(found, self.path.name, "\t" if self.format == "tsv" else "")
        return text_rows(found)


def open_data_file(path: Path) -> DataFile:
    """Look at the first bytes of a file and say what it is; its content decides, its name only helps.

    Raises:
        DataError: if it is missing, empty, binary, UTF-16 or of no known kind.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            what = "a folder" if path.is_dir() else "no ordinary file"
            raise DataError(f"{path} is {what}, not a data file.", "Choose the file itself.")
        with path.open("rb") as stream:
            size_bytes = os.fstat(stream.fileno()).st_size
            sample = stream.read(_SAMPLE_BYTES)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.", "Check the path and its permissions.") from error
    if not sample.removeprefix(_BOM).strip():
        what = "is empty" if size_bytes == 0 else "holds nothing but blank lines"
        if size_bytes <= len(sample):
            raise DataError(f"{path.name} {what}.", "Choose a file with one training example per row.")
    if sample.startswith(b"PAR1"):
        return DataFile(path=path, format="parquet", encoding="", size_bytes=size_bytes)
    if sample.startswith((b"ARROW1\0\0", b"\xff\xff\xff\xff")) and SUFFIXES.get(path.suffix.lower()) == "arrow":
        return DataFile(path=path, format="arrow", encoding="", size_bytes=size_bytes)
    _refuse_other_encodings(path, sample)
    _refuse_binary(path, sample)
    start = len(_BOM) if sample.startswith(_BOM) else 0
    return DataFile(
        path=path,
        format=_format_of(path, sample[start:], start),
        encoding="UTF-8 with byte order mark" if start else "UTF-8",
        size_bytes=size_bytes,
        start=start,
        line_end=b"\r" if b"\r" in sample and b"\n" not in sample and len(sample) > sample.index(b"\r") + 1 else b"\n",
    )


def _refuse_other_encodings(path: Path, sample: bytes) -> None:
    for mark, name in ((b"\xff\xfe\0\0", "UTF-32"), (b"\xff\xfe", "UTF-16"), (b"\xfe\xff", "UTF-16")):
        if sample.startswith(mark):
            raise DataError(f"{path.name} is written in {name}; this program reads UTF-8.", _SAVE_AS_UTF8)
    even, odd = sample[0:512:2].count(0), sample[1:512:2].count(0)
    half = len(sample[:512]) // 2
    if half >= 4 and max(even, odd) > 0.6 * half and min(even, odd) < 0.1 * half:
        raise DataError(f"{path.name} looks like UTF-16 without a mark; this program reads UTF-8.", _SAVE_AS_UTF8)


def _refuse_binary(path: Path, sample: bytes) -> None:
    for magic, what in _MAGIC:
        if sample.startswith(magic):
            raise DataError(f"{path.name} is {what}, not a text or Parquet file.", _EXPORT)
    if sample.lstrip()[:1] in (b"{", b"["):
        return  # rows of JSON; single ones may be damaged
    strange = len(sample) - len(sample.translate(None, bytes([*range(9), 11, *range(14, 27), *range(28, 32), 127])))
    if strange > 0.1 * len(sample):
        place = next((index for index, byte in enumerate(sample) if byte < 9), 0)
        raise DataError(f"{path.name} is a binary file (byte 0x{sample[place]:02X} at byte offset {place}).", _EXPORT)


def _format_of(path: Path, sample: bytes, start: int) -> str:
    suffix = SUFFIXES.get(path.suffix.lower(), "")
    if suffix in ("parquet", "arrow"):
        what = (
            "Parquet file: it does not start with PAR1" if suffix == "parquet" else "Arrow file: its start is another"
        )
        raise DataError(f"{path.name} is no {what}.", "Write the file again, or rename it.")
    if suffix in ("csv", "tsv", "text"):
        return suffix
    if sample.lstrip()[:1] in (b"[", b"{"):
        return _json_or_jsonl(path, start, suffix)
    if suffix:
        return "jsonl" if suffix == "jsonl" else "json"
    if path.suffix:
        raise DataError(
            f"{path.name}: files ending in {path.suffix} are not known as data.",
            "Known are .jsonl, .json, .csv, .tsv, .parquet, .arrow, .txt and .md; rename the file to what it is.",
        )
    return "text"


def _json_or_jsonl(path: Path, start: int, suffix: str) -> str:
    """Tell a list of rows from a row per line by the first two lines that are not blank."""
    with path.open("rb") as stream:
        stream.seek(start)
        filled = (line for line in iter(lambda: stream.readline(ROW_LIMIT_BYTES), b"") if line.strip())
        first, second = next(filled, b"").strip(), next(filled, b"").strip()
    try:
        value = json.loads(first)
    except (ValueError, RecursionError):
        if first in (b"[", b"{") or first[:1] == b"[":
            return "json"
        # A first line that is broken, or the start of an object over several lines.
        return "jsonl" if suffix == "jsonl" or second[:1] == b"{" else "json"
    if second:
        return "json" if isinstance(value, list) and suffix == "json" else "jsonl"
    if isinstance(value, list):
        return "json"
    is_wrapped = any(isinstance(part, list) and part and isinstance(part[0], dict) for part in value.values())
    return "json" if suffix == "json" and is_wrapped and not any(name in value for name in CHAT_COLUMNS) else "jsonl"
