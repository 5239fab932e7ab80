"""The history: one row per job folder, in one SQLite file.

It can be lost: a damaged file is kept aside and an empty one begun, which a supervisor fills again from
the job folders. One short connection per transaction, so nothing is held open between two calls.
"""

import json
import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from desktop_app.domain.job import Job, JobMarks, JobState
from desktop_app.errors import StorageError
from desktop_app.paths import make_private_dir

from .schema import damage, migrate

_T = TypeVar("_T")
_BUSY_TIMEOUT_S = 10.0
_COLUMNS = tuple(field.name for field in fields(Job))
_JSON_COLUMNS = ("spec", "summary", "tags")
# These are the user's words: a supervisor that updates the rest never overwrites them.
_OF_THE_USER = ("note", "tags", "is_archived")
_NEXT = "UPDATE revision SET number = number + 1"
_REVISION = "(SELECT number FROM revision)"
_PUT = (
    f"INSERT INTO job ({', '.join(_COLUMNS)}, revision) "
    f"VALUES ({', '.join(':' + name for name in _COLUMNS)}, {_REVISION}) "
    "ON CONFLICT (id) DO UPDATE SET "
    + ", ".join(f"{name} = excluded.{name}" for name in (*_COLUMNS, "revision") if name not in ("id", *_OF_THE_USER))
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """`jobs` that were written after a revision, the newest first; the `revision` to ask with next; `count` of all.

    Who holds more than `count` jobs afterwards holds some that were removed, and reads all of them again.
    """

    jobs: list[Job]
    revision: int
    count: int


class Index:
    """The rows of the history. `moved_aside` names the damaged file if one was found, else None."""

    def __init__(self, file: Path) -> None:
        """Open the index, creating or migrating it.

        Raises:
            StorageError: it cannot be read or written, or a newer version of this program made it.
        """
        self.file = file
        self.moved_aside: Path | None = None
        self._healed(self._prepare)

    def put(self, *jobs: Job) -> None:
        """Write rows, new or changed, all or none; note and marks of a row that exists stay as they are.

        Raises:
            StorageError: if it cannot be written, for example without space on the disk.
        """

        def write() -> None:
            with self._transaction() as connection:
                connection.execute(_NEXT)
                connection.executemany(_PUT, [_row_of(job) for job in jobs])

        self._healed(write)

    def jobs(self) -> list[Job]:
        """Return all jobs, the newest first."""

        def read() -> list[Job]:
            with self._transaction() as connection:
                return [_job_of(row) for row in connection.execute("SELECT * FROM job ORDER BY created DESC, id DESC")]

        return self._healed(read)

    def newest(self, most: int) -> list[Job]:
        """Return so many jobs at most, the newest first."""

        def read() -> list[Job]:
            with self._transaction() as connection:
                found = connection.execute("SELECT * FROM job ORDER BY created DESC, id DESC LIMIT ?", (most,))
                return [_job_of(row) for row in found]

        return self._healed(read)

    def changes(self, revision: int = 0) -> Changes:
        """Return the jobs that were written after `revision`: with ten thousand of them, not all for one."""

        def read() -> Changes:
            with self._transaction() as connection:
                newest, count = connection.execute(f"SELECT {_REVISION}, count(*) FROM job").fetchone()
                rows = connection.execute(
                    "SELECT * FROM job WHERE revision > ? ORDER BY created DESC, id DESC", (revision or -1,)
                )
                return Changes(jobs=[_job_of(row) for row in rows], revision=newest, count=count)

        return self._healed(read)

    def job(self, job_id: str) -> Job | None:
        """Return one job, or None if it has no row."""

        def read() -> Job | None:
            with self._transaction() as connection:
                row = connection.execute("SELECT * FROM job WHERE id = ?", (job_id,)).fetchone()
                return None if row is None else _job_of(row)

        return self._healed(read)

    def remove(self, job_id: str) -> None:
        """Forget a job; without effect if it has no row."""

        def write() -> None:
            with self._transaction() as connection:
                connection.execute("DELETE FROM job WHERE id = ?", (job_id,))

        self._healed(write)

    def set_note(self, job_id: str, note: str) -> None:
        """Keep the user's own words about a job.

        NOTE: `jobs.submit.set_note` calls this and writes them into the job's folder too, where they
        survive the loss of this file.
        """

        def write() -> None:
            with self._transaction() as connection:
                connection.execute(_NEXT)
                connection.execute(f"UPDATE job SET note = ?, revision = {_REVISION} WHERE id = ?", (note, job_id))

        self._healed(write)

    def set_marks(self, marks: Mapping[str, JobMarks]) -> None:
        """Keep tags and archived of jobs by their ids, all or none; see the NOTE at `set_note`."""
        rows = [(json.dumps(each.tags, ensure_ascii=False), each.is_archived, job_id) for job_id, each in marks.items()]

        def write() -> None:
            with self._transaction() as connection:
                connection.execute(_NEXT)
                connection.executemany(
                    f"UPDATE job SET tags = ?, is_archived = ?, revision = {_REVISION} WHERE id = ?", rows
                )

        self._healed(write)

    def data_version(self) -> int:
        """Return a number that changes when any process has written; cheap, without opening the database.

        It is read from the change counter in SQLite's file header (bytes 24 to 27) and, for the
        write-ahead log, from the files' sizes and times.
        """
        marks: list[int] = []
        try:
            with self.file.open("rb") as stream:
                stream.seek(24)
                marks.append(int.from_bytes(stream.read(4), "big"))
                about = os.fstat(stream.fileno())
                marks += [about.st_ino, about.st_size, about.st_mtime_ns]
            log = self.file.with_name(self.file.name + "-wal").stat()
            marks += [log.st_size, log.st_mtime_ns]
        except OSError:
            pass
        return hash(tuple(marks))

    def _prepare(self) -> None:
        make_private_dir(self.file.parent)
        with self._connection() as connection:
            migrate(connection, self.file)

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._connection() as connection:
            connection.execute("BEGIN")
            yield connection
            connection.execute("COMMIT")

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        connection = sqlite3.connect(self.file, timeout=_BUSY_TIMEOUT_S, isolation_level=None)
        try:
            connection.row_factory = sqlite3.Row
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute("PRAGMA synchronous = FULL")
            yield connection
        finally:
            connection.close()

    def _healed(self, action: Callable[[], _T]) -> _T:
        """Run `action`; if the file turns out damaged, put it aside and run it on an empty one."""
        try:
            try:
                return action()
            except sqlite3.Error as error:
                if not _is_damage(error):
                    raise
                self._move_aside()
                self._prepare()
                return action()
        except (sqlite3.Error, OSError) as error:
            raise StorageError(
                f"The history {self.file} cannot be used: {error}.",
                "Free some space and make its folder writable; the jobs themselves are not touched.",
            ) from error

    def _move_aside(self) -> None:
        aside = self.file.with_name(f"{self.file.name}.damaged-{datetime.now():%Y%m%d-%H%M%S-%f}")
        for suffix in ("-journal", "-wal", "-shm", ""):  # a journal left behind would be played into the new file
            part = self.file.with_name(self.file.name + suffix)
            if part.exists():
                part.replace(aside.with_name(aside.name + suffix))
        self.moved_aside = aside


def _is_damage(error: sqlite3.Error) -> bool:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    is_foreign = code == sqlite3.SQLITE_ERROR and "no such" in str(error)  # a database, but not ours
    return is_foreign or code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def _row_of(job: Job) -> dict[str, Any]:
    row = {name: getattr(job, name) for name in _COLUMNS}
    return {**row, **{name: json.dumps(row[name], ensure_ascii=False) for name in _JSON_COLUMNS}}


def _job_of(row: sqlite3.Row) -> Job:
    try:
        values = {name: row[name] for name in _COLUMNS}
        documents = {name: json.loads(row[name]) for name in _JSON_COLUMNS}
        own = {
            "state": JobState(row["state"]),
            "tags": tuple(documents["tags"]),
            "is_archived": bool(row["is_archived"]),
        }
        return Job(**{**values, **documents, **own})
    except (ValueError, IndexError, TypeError) as error:
        raise damage(f"row {row[0]!r}: {error}") from error
