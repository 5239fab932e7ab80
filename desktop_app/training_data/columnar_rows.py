"""Rows of Parquet and Arrow files, a small batch at a time. The only place that imports pyarrow, when it is used.

A small file can name huge contents: what a batch would take is bounded by what the file says of itself, and the
process that reads has a cap on its memory.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from desktop_app.domain.data_report import BadRow
from desktop_app.errors import DataError

from .lines import Progress, no_progress
from .row import ROW_LIMIT_BYTES, ROW_LIMIT_WORDS, Row

_BATCH_ROWS = 64
_BATCH_BYTES = 256 * 1024 * 1024
_COLUMNS_AT_MOST = 10_000
_BATCH_VALUES = 16_000_000
_GROUP_BYTES = 1024 * 1024 * 1024


def parquet_rows(path: Path, progress: Progress = no_progress) -> Iterator[Row | BadRow]:
    """Yield the rows; they have no line and no byte offset.

    Raises:
        DataError: if the file is no Parquet file, damaged, or unpacks to more than can be read.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    size_bytes = path.stat().st_size
    limit = pq_limits()
    try:
        with pq.ParquetFile(path, memory_map=False, pre_buffer=False, **limit) as file:
            _refuse_bomb(path, file.metadata)
            total = max(1, file.metadata.num_rows)
            done = 0
            for batch in file.iter_batches(batch_size=_BATCH_ROWS, use_threads=False):
                yield from _rows(path, batch)
                done += batch.num_rows
                progress(size_bytes * done // total)
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
        raise _unreadable(path, "Parquet", error) from error
    except MemoryError as error:
        raise _too_large(path) from error


def arrow_rows(path: Path, progress: Progress = no_progress) -> Iterator[Row | BadRow]:
    """Yield the rows of an Arrow file or stream, as `datasets` saves them.

    Raises:
        DataError: if the file is damaged, or unpacks to more than can be read.
    """
    import pyarrow as pa

    size_bytes = path.stat().st_size
    try:
        with pa.OSFile(str(path)) as source:
            is_file = source.read(6) == b"ARROW1"
            source.seek(0)
            if is_file:
                reader = pa.ipc.open_file(source)
                batches = (reader.get_batch(index) for index in range(reader.num_record_batches))
            else:
                batches = iter(pa.ipc.open_stream(source))
            for batch in batches:
                batch.validate()
                for start in range(0, batch.num_rows, _BATCH_ROWS):
                    yield from _rows(path, batch.slice(start, _BATCH_ROWS))
                progress(min(size_bytes, source.tell()))
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
        raise _unreadable(path, "Arrow", error) from error
    except MemoryError as error:
        raise _too_large(path) from error


def pq_limits() -> dict[str, int]:
    """Bound what the header of a Parquet file may make the library allocate."""
    return {"thrift_string_size_limit": 64 * 1024 * 1024, "thrift_container_size_limit": 1_000_000}


def _refuse_bomb(path: Path, metadata: Any) -> None:
    if metadata.num_columns > _COLUMNS_AT_MOST:
        raise DataError(f"{path.name} has {metadata.num_columns:,} columns.", "Keep the columns to learn from.")
    for index in range(metadata.num_row_groups):
        group = metadata.row_group(index)
        if group.total_byte_size > _GROUP_BYTES:
            size = f"{group.total_byte_size / 1e9:,.1f} GB"
            raise DataError(
                f"{path.name} holds a group of rows that unpacks to {size}, more than can be read at once.",
                "Write it again with smaller row groups, or export the rows as JSONL.",
            )


def _rows(path: Path, batch: Any) -> Iterator[Row | BadRow]:
    """Turn a batch into rows; pandas' index column is no data of the user."""
    if batch.nbytes > _BATCH_BYTES or any(_value_count(column) > _BATCH_VALUES for column in batch.columns):
        raise _too_large(path)
    names = [name for name in batch.schema.names if not name.startswith("__index_level_")]
    if len(set(names)) < len(names):
        raise DataError(f"{path.name}: a column name stands twice.", "Give each its own name.")
    kept = batch.select(names)
    for index, values in enumerate(kept.to_pylist()):
        if batch.nbytes > ROW_LIMIT_BYTES and kept.slice(index, 1).nbytes > ROW_LIMIT_BYTES:
            yield BadRow(line=0, byte_offset=0, reason=f"the row is {ROW_LIMIT_WORDS}")
        else:
            yield Row(0, 0, values)


def _value_count(column: Any) -> int:
    """Count what the lists of a column hold; a list of nothing takes no bytes, but as many places as it says."""
    import pyarrow as pa

    while pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
        column = column.flatten()
    return len(column)


def _unreadable(path: Path, kind: str, error: Exception) -> DataError:
    said = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
    return DataError(
        f"{path.name} cannot be read as {kind}: {said}.", "Write the file again, or export the rows as JSONL."
    )


def _too_large(path: Path) -> DataError:
    return DataError(
        f"Some rows of {path.name} unpack to more than can be read at once.",
        "Write it again with smaller row groups, or export the rows as JSONL.",
    )
