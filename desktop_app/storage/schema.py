"""Bring the index's file to this version's form: numbered `.sql` files, each run whole or not at all."""

import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from desktop_app.errors import StorageError

_MIGRATIONS = Path(__file__).with_name("migrations")
# Older ones can damage a write-ahead log that two connections reset at once; 3.52.0 was withdrawn.
# https://sqlite.org/releaselog/3_51_3.html
_WAL_IS_SAFE = sqlite3.sqlite_version_info >= (3, 51, 3) and sqlite3.sqlite_version_info != (3, 52, 0)


def migrate(connection: sqlite3.Connection, file: Path) -> None:
    """Check the file, choose its journal and run the migrations it lacks, after a backup.

    Raises:
        StorageError: a newer version of this program made the file.
        sqlite3.Error: it is damaged or cannot be written.
    """
    files = sorted(_MIGRATIONS.glob("[0-9]*.sql"))
    newest = len(files)
    version = _version(connection)
    if version > newest:
        raise StorageError(
            f"The history {file} was written by a newer Whetstone (format {version}; this one knows {newest}).",
            "Start the newer version, or choose another data folder (WHETSTONE_DATA_DIR).",
        )
    finding = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if finding != "ok":
        raise damage(finding)
    connection.execute(f"PRAGMA journal_mode = {'WAL' if _WAL_IS_SAFE else 'DELETE'}")
    if version == newest:
        return
    if version > 0:
        _back_up(connection, file.with_name(f"{file.name}.before-format-{newest}"))
    connection.execute("BEGIN IMMEDIATE")
    for number, script in enumerate(files, start=1):
        if number > _version(connection):  # asked again inside the transaction: another process may have been first
            for statement in _statements(script.read_text(encoding="utf-8")):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {number}")
    connection.execute("COMMIT")


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def damage(finding: str) -> sqlite3.DatabaseError:
    """Return an error as SQLite raises it for a damaged file, for damage that SQLite itself does not see."""
    error = sqlite3.DatabaseError(finding)
    error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    return error


def _back_up(connection: sqlite3.Connection, backup: Path) -> None:
    backup.unlink(missing_ok=True)
    connection.execute("VACUUM INTO ?", (str(backup),))
    handle = os.open(backup, os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _statements(script: str) -> Iterator[str]:
    """Split a script; `executescript` would commit before it runs."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
