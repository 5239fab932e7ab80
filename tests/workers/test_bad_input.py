"""What bad input gets: exit code 2 and words, before anything heavy is loaded, and nothing is lost or left."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from desktop_app.domain.event import Failed
from desktop_app.job_folder import JobFolder
from desktop_app.process import helper_environment
from desktop_app.workers.run import run_worker
from tests.workers.running import DEMO_MODEL, ROOT, Ran, new_job, quantization, run_job, training

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    shutil.copytree(DEMO_MODEL, folder)
    return folder


def _without_config(folder: Path) -> None:
    (folder / "config.json").unlink()


def _pickle_only(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def _truncated(folder: Path) -> None:
    os.truncate(folder / "model.safetensors", 100_000)


def _unknown(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "lindow", "architectures": ["Lindow"], "auto_map": {"AutoModelForCausalLM": "own.Lindow"}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "own.py").write_text("raise SystemExit('code of the model was run')")


def _lacks_a_tensor(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    tensors = load_file(folder / "model.safetensors")
    tensors.pop("model.layers.0.mlp.up_proj.weight")
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


@pytest.mark.parametrize("damage", [_without_config, _pickle_only, _truncated, _unknown, _lacks_a_tensor])
@pytest.mark.parametrize("kind", ["finetune", "quantize"])
def test_a_bad_model_is_refused_in_words(
    model: Path, tmp_path: Path, damage: Callable[[Path], None], kind: str
) -> None:
    damage(model)
    spec = training(model=str(model)) if kind == "finetune" else quantization("nf4", model=str(model))
    ran = run_job(tmp_path, **spec)
    assert (ran.code, ran.last.kind, ran.last.error) == (2, "failed", "model")
    assert len(ran.last.message) > 20
    assert ran.last.hint
    assert not list(ran.folder.path.glob("*result*"))
    assert not list(ran.folder.path.glob(".*"))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        (b"\x00\x01\x02\xff" * 300, ""),
        (b'{"width": 3, "height": 4}\n', "column"),
        (b'{"messages": []}\n', ""),
        (json.dumps({"prompt": "a " * 400, "completion": "b"}).encode() + b"\n", "128 tokens"),
    ],
)
def test_bad_data_is_refused_in_words(tmp_path: Path, content: bytes, says: str) -> None:
    data = tmp_path / "rows.jsonl"
    data.write_bytes(content)
    ran = run_job(tmp_path, **training(data=str(data)))
    assert (ran.code, ran.last.error) == (2, "data"), ran.last
    assert says in ran.last.message + ran.last.hint
    assert ran.last.hint


def test_refusals_come_before_torch(model: Path, tmp_path: Path) -> None:
    _truncated(model)
    job = new_job(tmp_path, **training(model=str(model)))
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]); from desktop_app.workers.run import run_worker; "
        "code = run_worker(sys.argv[2]); print(code, 'torch' in sys.modules, 'transformers' in sys.modules)"
    )
    out = subprocess.run(
        [sys.executable, "-c", program, str(ROOT), str(job.path)],
        capture_output=True,
        text=True,
        env=helper_environment(1),
        check=True,
    )
    assert out.stdout.strip().splitlines()[-1] == "2 False False"


def test_code_in_a_native_models_folder_is_never_run(model: Path, tmp_path: Path) -> None:
    config = json.loads((model / "config.json").read_text())
    config["auto_map"] = {"AutoModelForCausalLM": "own.Lindow", "AutoConfig": "own.LindowConfig"}
    (model / "config.json").write_text(json.dumps(config))
    (model / "own.py").write_text(f"open({str(tmp_path / 'was-run')!r}, 'w')")
    ran = run_job(tmp_path, **quantization("nf4", model=str(model)))
    assert ran.code == 0
    assert not (tmp_path / "was-run").exists()


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"device": "cuda"}, "hardware"),
        ({"precision": "fp16"}, "spec"),
        ({"target_modules": ["no_such_layer"]}, "spec"),
        ({"target_modules": ["lm_head"]}, "spec"),
    ],
)
def test_impossible_wishes_are_refused(tmp_path: Path, changes: dict[str, object], error: str) -> None:
    import torch

    if changes.get("device") == "cuda" and torch.cuda.is_available():
        pytest.skip("this computer has a GPU that torch can use")
    ran = run_job(tmp_path, **training(**changes))
    assert (ran.code, ran.last.error) == (2, error), ran.last


def test_an_output_that_exists_is_not_touched(tmp_path: Path) -> None:
    output = tmp_path / "mine"
    output.mkdir()
    (output / "letter.txt").write_text("dear")
    ran = run_job(tmp_path, **quantization("nf4", output=str(output)))
    assert (ran.code, ran.last.error) == (2, "storage")
    assert [path.name for path in output.iterdir()] == ["letter.txt"]


def test_a_spec_that_is_none_is_told_in_words(tmp_path: Path) -> None:
    (tmp_path / "spec.json").write_text('{"kind": "finetune", "modle": "x"}')
    ran = Ran(JobFolder(tmp_path), run_worker(tmp_path))
    assert (ran.code, ran.last.error) == (2, "spec")


def test_a_bug_is_shown_as_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import desktop_app.workers.quantize as quantize_module

    monkeypatch.setattr(quantize_module, "check_device", None)
    ran = run_job(tmp_path, **quantization("nf4"))
    assert (ran.code, ran.last.error) == (1, "bug")
    assert "TypeError" in ran.last.message
    assert "Traceback" in capsys.readouterr().err


@pytest.fixture
def small_disk(tmp_path: Path) -> Path:
    """A disk of 24 MB, which only the superuser can make."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("needs a mount")
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(disk)], check=False)
    if made.returncode:
        pytest.skip("mounting is not allowed here")
    yield disk  # type: ignore[misc]
    subprocess.run(["umount", str(disk)], check=True)


def test_too_little_space_is_refused_before_anything_is_loaded(small_disk: Path, tmp_path: Path) -> None:
    (small_disk / "filler").write_bytes(bytes(12_000_000))
    ran = run_job(tmp_path, **quantization("nf4", output=str(small_disk / "result")))
    assert (ran.code, ran.last.error) == (2, "storage")
    assert "MB free" in ran.last.message
    assert sorted(path.name for path in small_disk.iterdir()) == ["filler"]


def test_a_disk_that_fills_up_ends_in_words_and_keeps_the_last_checkpoint(small_disk: Path, tmp_path: Path) -> None:
    job = new_job(small_disk, **training(max_steps=6, save_steps=2, rank=8))
    from tests.workers.running import when

    def fill() -> None:
        with (small_disk / "filler").open("wb") as stream:
            try:
                while True:
                    stream.write(bytes(4096))
                    stream.flush()
            except OSError:
                pass

    when(lambda: (job.checkpoints_dir / "step-2").exists(), fill)
    ran = Ran(job, run_worker(job.path))
    assert (ran.code, ran.last.kind, ran.last.error) == (2, "failed", "disk_full"), ran.last
    from desktop_app.result_folder import manifest_problems

    assert manifest_problems(job.checkpoints_dir / "step-2") == []
    assert not (job.path / "result").exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a file that is always full")
def test_a_job_says_its_end_where_the_console_log_finds_no_room(tmp_path: Path) -> None:
    job = new_job(tmp_path, **training(model=str(tmp_path / "nothing")))
    with Path("/dev/full").open("wb") as full:
        command = [sys.executable, str(ROOT / "main.py"), "--worker", str(job.path)]
        subprocess.call(command, stdout=full, stderr=full, env=helper_environment())
    last = job.read_events().events[-1]
    assert isinstance(last, Failed) and "nothing" in last.message
