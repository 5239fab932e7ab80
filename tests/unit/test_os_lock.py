"""The lock: one holder, free the moment its holder dies, never fooled by a file that is left."""

import subprocess
import sys
from pathlib import Path

import pytest

from desktop_app.errors import StorageError
from desktop_app.os_lock import OsLock

HOLDER = """
import sys, time
sys.path.insert(0, sys.argv[2])
from pathlib import Path
from desktop_app.os_lock import OsLock
lock = OsLock(Path(sys.argv[1]))
print(lock.acquire(), flush=True)
time.sleep(600)
"""


def test_one_holder_at_a_time(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "er.lock"
    with OsLock(file) as first, OsLock(file) as second:
        assert first.acquire() and first.acquire()
        assert not second.acquire() and not second.is_held
        first.note("123\n")
        first.note("45\n")
        assert file.read_text() == "45\n"
        first.release()
        assert second.acquire()
    with OsLock(file) as third:
        assert third.acquire()


def test_killing_the_holder_frees_it(tmp_path: Path) -> None:
    file = tmp_path / "lock"
    root = str(Path(__file__).parents[2])
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(file), root], stdout=subprocess.PIPE)
    with holder, OsLock(file) as lock:
        assert holder.stdout is not None and holder.stdout.readline() == b"True\n"
        assert not lock.acquire()
        holder.kill()
        holder.wait()
        assert lock.acquire()


def test_a_file_made_anew_has_one_holder(tmp_path: Path) -> None:
    file = tmp_path / "lock"
    with OsLock(file) as first, OsLock(file) as second:
        assert first.acquire()
        file.unlink()
        assert second.acquire()  # a new file: the old lock guards nothing any more


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot be opened"):
        OsLock(tmp_path / "file" / "lock").acquire()
