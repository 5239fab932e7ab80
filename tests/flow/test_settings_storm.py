"""Killed while it writes its settings, the program starts with the old or the new ones, and never back online."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks a prepared process for each round")
@pytest.mark.parametrize(
    ("kills", "most_changes"), [(40, 16), pytest.param(200, 200, marks=pytest.mark.night, id="200 within 200 changes")]
)
def test_kills_while_settings_are_written(kills: int, most_changes: int) -> None:
    command = [sys.executable, "-m", "tests.flow.settings_storm", "1", str(kills), str(most_changes)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["kills"] == kills and found["broken"] == found["impossible"] == found["back_online"] == 0, found
    assert found["changed"] > kills / 4 and found["went_offline"] > kills / 8, found
