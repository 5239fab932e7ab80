"""Pickles that would run code lie about under every usual name: nothing that looks, quantizes or trains opens one."""

import os
import pickle
import shutil
from pathlib import Path

import pytest

from desktop_app.errors import ModelError
from desktop_app.job_folder import JobFolder
from desktop_app.library.model_check import check_model
from desktop_app.library.model_folder import check_model_folder, listed_facts
from desktop_app.result_folder import manifest_problems, read_manifest, write_manifest
from desktop_app.workers.run import run_worker
from tests.fakes.model_files import write_adapter, write_llama
from tests.workers.running import Ran, quantization, run_job, training

WEIGHTS = (
    "pytorch_model.bin",
    "pytorch_model-00001-of-00001.bin",
    "model.pt",
    "model.pth",
    "consolidated.00.pth",
    "model.ckpt",
    "weights.pkl",
    "weights.pickle",
    "adapter_model.bin",
)
BESIDE = ("training_args.bin", "rng_state.pth", "optimizer.pt")


class Canary:
    """Unpickled, it makes a file."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch '{self.file}'",)


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    file = tmp_path / "canary"
    assert pickle.loads(pickle.dumps(Canary(file))) == 0 and file.exists(), "it does sing"
    file.unlink()
    return file


@pytest.mark.parametrize("name", [*WEIGHTS, *BESIDE])
def test_weights_in_pickle_are_refused_by_name_wherever_a_model_is_asked_for(
    tmp_path: Path, canary: Path, name: str
) -> None:
    folder = write_adapter(tmp_path / "m", "/m/lamb") if name.startswith("adapter") else write_llama(tmp_path / "m")
    for file in folder.glob("*.safetensors"):
        file.unlink()
    (folder / name).write_bytes(pickle.dumps(Canary(canary)))
    said = listed_facts(folder).problem
    assert (name in said and "pickle" in said) if name not in BESIDE else said
    with pytest.raises(ModelError):
        check_model_folder(folder)
    check = check_model(folder, {})
    assert check.problems == [said]
    for spec in (quantization("nf4", model=str(folder)), training(model=str(folder))):
        ran = run_job(tmp_path, **spec)
        assert (ran.last.kind, ran.last.error, ran.last.message) == ("failed", "model", said)
    assert not canary.exists()


@pytest.mark.parametrize("name", [*WEIGHTS, *BESIDE])
def test_pickles_beside_sound_weights_are_never_opened(tmp_path: Path, canary: Path, name: str) -> None:
    folder = write_llama(tmp_path / "m")
    (folder / name).write_bytes(pickle.dumps(Canary(canary)))
    assert check_model_folder(folder).problem == ""
    assert check_model(folder, {}).problems == []
    assert not canary.exists()


@pytest.mark.filterwarnings("ignore")
def test_a_checkpoint_of_pickles_that_mean_harm_runs_none_of_them(tmp_path: Path, canary: Path) -> None:
    made = run_job(tmp_path, **training(max_steps=2, save_steps=1, max_length=32, held_out=0, max_rows=20))
    for name in ("optimizer.pt", "rng_state.pth"):
        again = JobFolder(tmp_path / f"again-{name}")
        shutil.copytree(made.folder.path, again.path)
        shutil.rmtree(again.path / "result")
        (again.path / "events.jsonl").unlink()
        shutil.rmtree(again.checkpoints_dir / "step-2")
        step = again.checkpoints_dir / "step-1"
        about = {key: value for key, value in read_manifest(step).items() if key != "files"}
        (step / name).write_bytes(pickle.dumps(Canary(canary)))
        write_manifest(step, about)  # as somebody would who hands the folder on
        assert manifest_problems(step) == []
        ran = Ran(again, run_worker(again.path))
        assert (ran.last.kind, ran.last.error) == ("failed", "job"), ran.last
        assert "would run code" in ran.last.message and ran.last.hint
        assert not canary.exists()
