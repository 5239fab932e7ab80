"""The report says what helps, holds against trouble, and names nobody and no place."""

import getpass
import json
import platform
from pathlib import Path

import pytest

from desktop_app import paths
from desktop_app.commands import run_command
from desktop_app.doctor import doctor, report_text, without_places
from desktop_app.domain.machine import Battery, Gpu, GpuProcess, Machine, MachineSample, OtherGpu
from desktop_app.domain.spec import parse_spec
from desktop_app.job_folder import create_job_folder

GIB = 2**30
MACHINE = Machine(
    system="Linux", processor="Ryzen", cores=8, threads=16, other_gpus=(OtherGpu(name="Radeon 780M", maker="AMD"),)
)


def sample(**more: object) -> MachineSample:
    return MachineSample.model_validate({"time": 0, "cpu": 0, "memory_total": 16 * GIB, "memory_used": GIB, **more})


def test_gpus_battery_and_problems_are_told(data_dir: Path) -> None:
    gpu = Gpu(
        index=0, name="RTX 4070", memory_total=8 * GIB, memory_used=GIB, driver="580.65", capability="8.9",
        slowed_by=("its temperature",), processes=(GpuProcess(pid=1, name="secret-game", memory=GIB),),
    )  # fmt: skip
    found = doctor(sample(gpus=[gpu], gpu_problem="Too old.", battery=Battery(charge=70, is_plugged=False)), MACHINE)
    text = report_text(found)
    assert "!!  GPU 0: RTX 4070, 1.0 of 8.0 GB used by 1 programs, driver 580.65" in text
    assert "slowed by its temperature" in text and "!!  GPU problem: Too old." in text
    assert "Battery: 70 %, on battery" in text and "Radeon 780M; jobs do not use it" in text
    assert "secret-game" not in text


def test_no_path_and_no_name_is_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:  # type: ignore[no-untyped-def]
    private = tmp_path / "anna.mueller" / "thesis"
    monkeypatch.setenv("WHETSTONE_DATA_DIR", str(private))
    monkeypatch.setenv("HOME", str(tmp_path / "anna.mueller"))
    spec = {
        "kind": "finetune",
        "model": "/Users/anna.mueller/m",
        "data": "/Users/anna.mueller/d.jsonl",
        "name": "secret",
    }
    create_job_folder(paths.jobs_dir(), "20260101-000000-secret-0000", parse_spec(spec))
    assert run_command(["doctor", "--json"]) == 0
    findings = json.loads(capsys.readouterr().out)["findings"]
    assert run_command(["doctor"]) == 0
    text = json.dumps(findings) + capsys.readouterr().out
    for word in ("anna", "thesis", "secret", platform.node(), str(tmp_path), f"/{getpass.getuser()}/"):
        assert word not in text
    told = {one["name"]: one for one in findings}
    assert told["Queue"] == {"name": "Queue", "text": "1 jobs to do, nobody at work", "is_well": False}
    assert told["History"]["text"] == "empty; 1 job folders are not listed yet"
    assert "torch " in told["Libraries"]["text"]


def test_a_broken_history_is_a_finding_and_ends_nothing(data_dir: Path) -> None:
    paths.make_private_dir(data_dir)
    paths.index_file().mkdir()
    found = {one.name: one for one in doctor(sample(), MACHINE)}
    assert found["History"].is_well is False and str(data_dir) not in found["History"].text
    assert found["Settings"].is_well


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("open '/Users/eve/x y.txt' failed", "open '<path>' failed"),
        ("C:\\Users\\Eve\\model, then", "<path>, then"),
        ("/media/eve/stick: full", "<path> full"),
        ("4.5 GB/s and a/b", "4.5 GB/s and a/b"),
    ],
)
def test_places_are_taken_out(text: str, clean: str) -> None:
    assert without_places(text) == clean
