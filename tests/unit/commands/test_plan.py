"""`plan` says the same as the window, starts nothing, and tells in words what it cannot plan."""

import json
from pathlib import Path
from typing import Any

import pytest

from desktop_app.commands import run_command
from desktop_app.paths import demo_data, demo_model, jobs_dir


def _file(folder: Path, **spec: Any) -> str:
    file = folder / "spec.json"
    file.write_text(json.dumps({"kind": "finetune", "model": str(demo_model()), "data": str(demo_data()), **spec}))
    return str(file)


@pytest.mark.usefixtures("data_dir")
def test_the_terms_add_up_and_nothing_is_started(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["plan", _file(tmp_path, device="cpu"), "--json"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert plan["where"] == "ram" and plan["verdict"] in ("fits", "tight", "does_not_fit")
    assert plan["needed_bytes"] == sum(term["bytes"] for term in plan["terms"])
    assert plan["disk"]["needed_bytes"] == plan["disk_bytes"] > 0 and plan["disk"]["free_bytes"] > 0
    assert not jobs_dir().exists()


@pytest.mark.usefixtures("data_dir")
def test_each_term_is_printed_with_its_formula(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["plan", _file(tmp_path, device="cpu", output=str(tmp_path / "out"))]) == 0
    said = capsys.readouterr().out
    assert "Activations" in said and "layers ×" in said and f"free at {tmp_path / 'out'}" in said
    assert run_command(["plan", _file(tmp_path, device="cpu", kind="quantize", data=None)]) == 2
    assert run_command(["plan", _file(tmp_path, model=str(tmp_path / "none"))]) == 2
    assert str(tmp_path / "none") in capsys.readouterr().err


@pytest.mark.usefixtures("data_dir")
def test_what_loads_no_model_has_no_plan(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "convert.json"
    file.write_text(json.dumps({"kind": "convert", "model": str(demo_model())}))
    assert run_command(["plan", str(file)]) == 2
    assert "no memory to plan" in capsys.readouterr().err
