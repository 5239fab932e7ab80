"""Real processes: the program's own supervisor, and a worker without torch in place of the real ones."""

from pathlib import Path

import pytest

from tests.flow.bench import Bench


@pytest.fixture
def bench(data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """A data folder with the fake worker in place of the real one."""
    return Bench(data_dir, tmp_path, monkeypatch.setenv)
