"""What all tests share: a data folder of their own, in which nothing is left running."""

import gc
import os
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from hypothesis import HealthCheck, settings

from desktop_app.process import reap

# Whether the machine is busy says nothing about the program.
settings.register_profile("any speed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any speed")


@pytest.fixture
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Make an own data folder the program's; afterwards end every process that still works in it."""
    folder = tmp_path / "data"
    monkeypatch.setenv("WHETSTONE_DATA_DIR", str(folder))
    yield folder
    for process in processes_of(folder):
        try:
            process.kill()
            process.wait(10)
        except psutil.Error:
            pass
    reap()


def processes_of(folder: Path) -> list[psutil.Process]:
    """All processes that were started for this data folder, but the tests' own."""
    found = []
    for process in psutil.process_iter():
        try:
            is_ours = process.environ().get("WHETSTONE_DATA_DIR") == str(folder)
            if is_ours and process.pid != os.getpid() and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return found


@pytest.fixture(autouse=True, scope="module")
def what_is_imported_is_left_alone() -> Iterator[None]:
    """Keep the collector from going through torch and all that again and again: a fifth of all tests' time.

    What a file's tests did not close is told of at its end, and not in the midst of another's.
    """
    gc.freeze()
    yield
    gc.collect()
    gc.freeze()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the long files, then those that compute: at the end no process waits long for the others."""
    items.sort(key=lambda item: (item.get_closest_marker("long") is None, "workers" not in item.path.parts))
