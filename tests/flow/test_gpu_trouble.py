"""A driver in every kind of trouble, replayed to one helper process: each is told in words, and never late."""

import time
from pathlib import Path

import pytest

from desktop_app.services.client import Service

ROOT = Path(__file__).resolve().parents[2]
CODES = (1, 3, 4, 9, 10, 11, 14, 15, 16, 17, 18, 999)


def test_twelve_codes_a_gpu_that_disappears_and_a_hang_are_fourteen_of_fourteen_told(
    data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mood = tmp_path / "mood"
    mood.write_text("")
    monkeypatch.setenv("FAKE_NVML", f"@{mood}")
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "tests" / "fakes"))  # its pynvml comes before the real one
    service = Service("sensors")
    told: dict[str, str] = {}
    try:
        for trouble in (*map(str, CODES), "none", "hang"):
            mood.write_text("")
            assert [gpu["name"] for gpu in service.call("sample", 30)["gpus"]] == ["Fake RTX"], "it works before"
            mood.write_text(trouble)
            asked = time.monotonic()
            sample = service.call("sample", 30)
            assert time.monotonic() - asked < 10  # the helper's own limit is 1.5 s
            assert sample["gpus"] == [] and sample["memory_total"] > 0
            told[trouble] = sample["gpu_problem"]
    finally:
        service.close()
    assert len(set(told.values())) == 14, told
    assert all(len(words) > 40 and words.endswith(".") for words in told.values()), told
    assert "has disappeared; there was one before" in told["none"] and "has not answered" in told["hang"]
