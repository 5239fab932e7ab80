"""`plan` says the same as the window, starts nothing, and tells in words what it cannot plan."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from desktop_app.commands import run_command
from desktop_app.domain.bundle_spec import Bundle, BundleFile
from desktop_app.domain.finetune_spec import FinetuneSpec
from desktop_app.domain.machine import MachineSample
from desktop_app.domain.spec import SPEC_TYPES, parse_spec
from desktop_app.paths import demo_data, demo_model, jobs_dir, make_private_dir, settings_dir
from desktop_app.services.client import Service
from desktop_app.services.planning import plan_report
from desktop_app.settings import write_settings


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
    convert = tmp_path / "convert.json"
    convert.write_text(json.dumps({"kind": "convert", "model": str(demo_model())}))
    assert run_command(["plan", str(convert)]) == 2
    assert "no weights in the old format" in capsys.readouterr().err
    assert run_command(["plan", _file(tmp_path, model=str(tmp_path / "none"))]) == 2
    assert str(tmp_path / "none") in capsys.readouterr().err


@pytest.mark.usefixtures("data_dir")
def test_every_kind_of_job_has_a_plan(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bundle = Bundle(made_by="0.1.0", name="b", files={"model/m/a": BundleFile(size=4, sha256="0" * 64)})
    (tmp_path / "b" / "model" / "m").mkdir(parents=True)
    (tmp_path / "b" / "model" / "m" / "a").write_text("abcd")
    (tmp_path / "b" / "bundle.json").write_text(bundle.model_dump_json())
    fields: dict[str, dict[str, Any]] = {kind: {"model": str(demo_model())} for kind in SPEC_TYPES}
    fields |= {"open_bundle": {"bundle": str(tmp_path / "b")}, "download": {"repo": "owner/name"}}
    fields["finetune"]["data"] = str(demo_data())
    old = shutil.copytree(demo_model(), tmp_path / "old")
    (old / "model.safetensors").rename(old / "pytorch_model.bin")
    fields["convert"] = {"model": str(old)}
    make_private_dir(settings_dir())
    write_settings(settings_dir(), {"offline": True})
    sample = MachineSample(time=0, cpu=0, memory_total=2**34, memory_used=0)
    inspect = Service("inspect")  # one for all: as the API has it
    try:
        plans = {
            kind: plan_report(parse_spec({"kind": kind, **more}), inspect, sample, []) for kind, more in fields.items()
        }
    finally:
        inspect.close()
    for kind, plan in plans.items():
        is_moved = kind not in ("evaluate", "download")
        assert plan.needed_bytes > 0 and (plan.disk_bytes > 0) is is_moved, kind
        assert plan.volumes[0].free_bytes > 0 and (plan.time is None) is (kind == "download"), kind
        assert bool(plan.time_problem) is (kind == "download"), kind
    assert plans["open_bundle"].disk_bytes == 4
    file = tmp_path / "open_bundle.json"
    file.write_text(json.dumps({"kind": "open_bundle", **fields["open_bundle"]}))
    assert run_command(["plan", str(file)]) == 0
    assert "a guess" in capsys.readouterr().out
    (tmp_path / "b" / "bundle.json").unlink()
    assert run_command(["plan", str(file)]) == 2
    assert "is no bundle" in capsys.readouterr().err
