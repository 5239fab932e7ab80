"""A hundred kills at random moments: no lost row, no false end, no orphan."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.conftest import processes_of

pytestmark = pytest.mark.long
ROOT = Path(__file__).parents[2]
SEEDS = (1, 2, 3, 4)
KILLS_EACH = 25


@pytest.fixture
def folders(tmp_path: Path) -> Iterator[list[Path]]:
    places = [tmp_path / str(seed) / "data" for seed in SEEDS]
    yield places
    for place in places:
        for process in processes_of(place):
            try:
                process.kill()
            except psutil.Error:
                pass


def test_a_hundred_kills(folders: list[Path]) -> None:
    storms = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.flow.kill_storm", str(seed), str(KILLS_EACH)],
            cwd=ROOT,
            env={**os.environ, "WHETSTONE_DATA_DIR": str(folder)},
            stdout=subprocess.PIPE,
        )
        for seed, folder in zip(SEEDS, folders, strict=True)
    ]
    outputs = [storm.communicate()[0] for storm in storms]
    found = []
    for storm, output, folder in zip(storms, outputs, folders, strict=True):
        log = (folder / "logs" / "supervisor.log").read_text()[-4000:]
        assert storm.returncode == 0, log
        found.append(json.loads(output))
        print(found[-1])
        assert found[-1]["lost_rows"] == found[-1]["false_ends"] == found[-1]["orphans"] == [], (found[-1], log)
        assert found[-1]["integrity"] == "ok"
        assert found[-1]["last"] == "succeeded", (found[-1], log)
    workers, supervisors = (sum(one[target] for one in found) for target in ("worker", "supervisor"))
    assert min(workers, supervisors) > 0
    assert workers + supervisors == len(SEEDS) * KILLS_EACH
