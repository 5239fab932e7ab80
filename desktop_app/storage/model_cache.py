"""What was read about models before, so that a second search need not read it again.

A file of its own that may be lost at any time: what is wrong with it makes it empty, never an error. Not in the
index, whose changes the window watches for jobs.
"""

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from desktop_app.paths import make_private_dir

_T = TypeVar("_T")
_BUSY_TIMEOUT_S = 2.0
_MOST_AT_ONCE = 500
_TABLES = """
CREATE TABLE IF NOT EXISTS facts (
    path  TEXT PRIMARY KEY,
    stamp TEXT NOT NULL,
    facts TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS checksum (
    path   TEXT NOT NULL,
    name   TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    taken  REAL NOT NULL,  -- Unix seconds
    PRIMARY KEY (path, name)
) STRICT;
"""


class ModelCache:
    """Facts of models as JSON, each valid for one stamp; and the checksums that were taken of a model's files."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def facts(self, paths: Iterable[str]) -> dict[str, tuple[str, str]]:
        """Return (stamp, facts) for those of `paths` that are known."""
        wanted = list(paths)

        def read(connection: sqlite3.Connection) -> dict[str, tuple[str, str]]:
            found: dict[str, tuple[str, str]] = {}
            for start in range(0, len(wanted), _MOST_AT_ONCE):
                part = wanted[start : start + _MOST_AT_ONCE]
                marks = ", ".join("?" * len(part))
                rows = connection.execute(f"SELECT path, stamp, facts FROM facts WHERE path IN ({marks})", part)
                found |= {path: (stamp, facts) for path, stamp, facts in rows}
            return found

        return self._try(read, {})

    def keep_facts(self, facts: Mapping[str, tuple[str, str]]) -> None:
        """Keep (stamp, facts) by path."""
        rows = [(path, *values) for path, values in facts.items()]
        self._try(lambda c: c.executemany("INSERT OR REPLACE INTO facts VALUES (?, ?, ?)", rows), None)

    def checksums(self, path: str) -> tuple[dict[str, str], float]:
        """Return the SHA-256 of a model's files by name as they were taken, and when; nothing and 0 if never."""

        def read(connection: sqlite3.Connection) -> tuple[dict[str, str], float]:
            rows = connection.execute("SELECT name, sha256, taken FROM checksum WHERE path = ?", (path,)).fetchall()
            return {name: digest for name, digest, _ in rows}, max((taken for *_, taken in rows), default=0.0)

        nothing: tuple[dict[str, str], float] = ({}, 0.0)
        return self._try(read, nothing)

    def keep_checksums(self, path: str, digests: Mapping[str, str], taken: float) -> None:
        """Keep the SHA-256 of all files of a model instead of those before."""

        def write(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM checksum WHERE path = ?", (path,))
            rows = [(path, name, digest, taken) for name, digest in digests.items()]
            connection.executemany("INSERT INTO checksum VALUES (?, ?, ?, ?)", rows)

        self._try(write, None)

    def _try(self, action: Callable[[sqlite3.Connection], _T], otherwise: _T) -> _T:
        """Run `action`; a damaged file is removed, for whatever else is wrong the cache is as good as empty."""
        for _ in range(2):
            try:
                with self._connection() as connection:
                    return action(connection)
            except sqlite3.OperationalError:
                return otherwise  # locked, read-only, full
            except sqlite3.DatabaseError:
                self._remove()
            except OSError:
                return otherwise
        return otherwise

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        make_private_dir(self.file.parent)
        connection = sqlite3.connect(self.file, timeout=_BUSY_TIMEOUT_S, isolation_level=None)
        try:
            connection.execute("PRAGMA synchronous = OFF")
            for statement in _TABLES.split(";\n"):
                connection.execute(statement)
            connection.execute("BEGIN")
            yield connection
            connection.execute("COMMIT")
        finally:
            connection.close()

    def _remove(self) -> None:
        for suffix in ("", "-journal"):
            try:
                self.file.with_name(self.file.name + suffix).unlink(missing_ok=True)
            except OSError:
                return
