"""The short measurement with the demo model: what it found is of these rows and settings, and nothing is kept."""

from pathlib import Path
from typing import Any

import pytest

from desktop_app import paths
from desktop_app.domain.probe import Probe
from desktop_app.errors import DataError, HardwareError
from desktop_app.os_lock import OsLock
from desktop_app.workers.probe import probe
from tests.workers.running import training
from tests.workers.test_chat import Heard

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.usefixtures("data_dir")]


def probed(heard: Heard | None = None, **changes: Any) -> Probe:
    spec = training(batch_size=2, max_length=48, **changes)
    return Probe(**probe(spec, heard or Heard(), limit_s=0.2))


def test_rate_memory_and_length_are_measured_and_nothing_is_written(
    data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    before = set(tmp_path.rglob("*"))
    heard = Heard()
    found = probed(heard, gradient_accumulation=8)
    assert 0 < found.least_tokens_per_s < found.tokens_per_s < found.most_tokens_per_s
    assert found.longest == 48 and found.rows_read == 360 and 20 < found.row_tokens <= 48 and found.steps >= 1
    assert found.peak_bytes > 100e6 and found.device.startswith("CPU")
    assert next(said["stage"] for said in heard.said if "stage" in said) == "Reading the data"
    written = {path for path in set(tmp_path.rglob("*")) - before if path.is_file()}
    assert written <= {paths.probe_lock()}


def test_every_objective_is_measured_by_its_own_trainer(tmp_path: Path) -> None:
    data = tmp_path / "pairs.jsonl"
    data.write_text('{"prompt": "Who lives in Lindow?", "chosen": "Mara.", "rejected": "Nobody."}\n' * 6)
    found = probed(data=str(data), objective="dpo", method="full", gradient_accumulation=1)
    assert found.rows_read == 6 and found.tokens_per_s > 0


def test_it_waits_for_nobody_and_tells_bad_data(tmp_path: Path) -> None:
    empty = tmp_path / "empty.jsonl"
    empty.write_text('{"messages": []}\n')
    with pytest.raises(DataError):
        probed(data=str(empty))
    with OsLock(paths.probe_lock()) as lock:
        assert lock.acquire()
        with pytest.raises(HardwareError, match="Another measurement"):
            probed()
