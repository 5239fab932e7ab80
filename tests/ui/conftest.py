"""A window state over an own data folder, for tests that draw."""

from pathlib import Path

import pytest

from desktop_app.services.inspect import METHODS
from desktop_app.settings import Settings
from desktop_app.storage.index import Index
from desktop_app.ui.window_state import WindowState
from tests.fakes.fake_service import FakeService, laptop_sample


@pytest.fixture
def state(data_dir: Path) -> WindowState:
    """Return a state without jobs on a computer with a GPU: reads files in this process, timers stand still."""
    sensors, settings = FakeService(sample=laptop_sample), Settings({"notifications": False, "look_in_caches": False})
    return WindowState(settings, Index(data_dir / "history.sqlite3"), FakeService(**METHODS), sensors)
