"""A curve beside a row: all points of a short run, even samples of a long one, nothing where there is nothing."""

import itertools
from pathlib import Path

import pytest

from desktop_app.domain.event import Metric
from desktop_app.ui.sparklines import sampled_losses


def write(file: Path, steps: int) -> None:
    lines = [
        Metric(seq=step, time=0, step=step, values={"loss": 5.0 / step}).model_dump_json()
        + "\n"
        + Metric(seq=step, time=0, step=step, values={"eval_loss": 9.0}).model_dump_json()
        for step in range(1, steps + 1)
    ]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")


def test_a_short_run_is_read_whole(tmp_path: Path) -> None:
    write(tmp_path / "events.jsonl", 40)
    assert sampled_losses(tmp_path / "events.jsonl") == [(step, 5.0 / step) for step in range(1, 41)]


def test_a_long_run_is_sampled_from_its_first_step_to_its_last(tmp_path: Path) -> None:
    write(tmp_path / "events.jsonl", 20_000)
    points = sampled_losses(tmp_path / "events.jsonl")
    steps = [step for step, _ in points]
    assert 40 <= len(points) <= 64
    assert steps[0] == 1
    assert steps[-1] == 20_000
    assert steps == sorted(set(steps))
    assert max(after - before for before, after in itertools.pairwise(steps)) < 800
    assert all(loss == pytest.approx(5.0 / step) for step, loss in points)


def test_no_file_and_no_losses(tmp_path: Path) -> None:
    assert sampled_losses(tmp_path / "events.jsonl") == []
    (tmp_path / "events.jsonl").write_bytes(b'\xff\xfe\n{"loss": 3}\nnot json "loss"\n')
    assert sampled_losses(tmp_path / "events.jsonl") == []
