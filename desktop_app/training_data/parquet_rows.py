"""Rows of Parquet files, a small batch at a time. The only place that imports pyarrow, and only when it is used."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from desktop_app.errors import DataError

from .lines import Progress, no_progress
from .row import Row

_BATCH_ROWS = 64


def parquet_rows(path: Path, progress: Progress = no_progress) -> Iterator[Row]:
    """Yield the rows; they have no line and no byte offset.

    Raises:
        DataError: if the file is no Parquet file or damaged.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    size_bytes = path.stat().st_size
    try:
        with pq.ParquetFile(path, memory_map=False, pre_buffer=False) as file:
            total = max(1, file.metadata.num_rows)
            done = 0
            for batch in file.iter_batches(batch_size=_BATCH_ROWS, use_threads=False):
                for values in _plain(batch):
                    yield Row(0, 0, values)
                done += batch.num_rows
                progress(size_bytes * done // total)
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
        said = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise DataError(
            f"{path.name} cannot be read as Parquet: {said}.",
            "Write the file again, or export the rows as JSONL.",
        ) from error


def _plain(batch: Any) -> list[dict[str, Any]]:
    """Turn a batch into rows; pandas' index column is no data of the user."""
    names = [name for name in batch.schema.names if not name.startswith("__index_level_")]
    rows: list[dict[str, Any]] = batch.select(names).to_pylist()
    return rows
