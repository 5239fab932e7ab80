"""`plan` says the same as the window, starts nothing, and tells in words what it cannot plan."""

import json
from pathlib import Path
from typing import Any

import pytest

from desktop_app.commands import run_command
from desktop_app.domain.finetune_spec import FinetuneSpec
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
    (volume,) = plan["volumes"]
    assert volume["needed_bytes"] == plan["disk_bytes"] == sum(part["bytes"] for part in plan["disk"]) > 0
    assert volume["free_bytes"] > 0 and plan["fits_with"] is None
    start = plan["start_with"]
    assert start["sentence"].startswith("For this computer and this data start with LoRA")
    assert FinetuneSpec(model="m", data="d", **start["changes"]).epochs == 3
    assert not jobs_dir().exists()


@pytest.mark.usefixtures("data_dir")
def test_each_term_is_printed_with_its_formula(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["plan", _file(tmp_path, device="cpu", output=str(tmp_path / "out"))]) == 0
    said = capsys.readouterr().out
    assert "For this computer and this data start with" in said and "As settings: max_length:" in said
    assert "Activations" in said and "layers ×" in said and f"free at {tmp_path / 'out'}" in said
    assert run_command(["plan", _file(tmp_path, device="cpu", kind="quantize", data=None)]) == 2
    assert run_command(["plan", _file(tmp_path, model=str(tmp_path / "none"))]) == 2
    assert str(tmp_path / "none") in capsys.readouterr().err


@pytest.mark.usefixtures("data_dir")
def test_every_kind_with_a_model_has_a_plan_and_one_without_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for kind in ("convert", "export", "bring_in", "evaluate"):
        file = tmp_path / f"{kind}.json"
        file.write_text(json.dumps({"kind": kind, "model": str(demo_model())}))
        assert run_command(["plan", str(file), "--json"]) == 0
        plan = json.loads(capsys.readouterr().out)
        assert plan["needed_bytes"] > 0 and (plan["disk_bytes"] > 0) is (kind != "evaluate")
    file = tmp_path / "download.json"
    file.write_text(json.dumps({"kind": "download", "repo": "owner/name"}))
    assert run_command(["plan", str(file)]) == 2
    assert "nothing to plan with" in capsys.readouterr().err
