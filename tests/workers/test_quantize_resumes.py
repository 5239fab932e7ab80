"""Killed, cancelled and taken up again at any byte: the same bytes in the end, never half a file under its name."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from desktop_app.job_folder import JobFolder, Request
from desktop_app.process import helper_environment
from desktop_app.result_folder import manifest_problems, sha256_of
from desktop_app.workers.model_companions import copy_companions
from desktop_app.workers.run import run_worker
from tests.workers.random_models import write_random_model
from tests.workers.running import DEMO_MODEL, ROOT, Ran, new_job, run_job, when

pytestmark = pytest.mark.filterwarnings("ignore")
SIZES = {"num_hidden_layers": 6, "hidden_size": 512, "intermediate_size": 1024, "vocab_size": 1024}
KINDS = ["nf4 int8", "gguf_q8_0 gguf_q4_k_m", pytest.param("int8_weight_only", marks=pytest.mark.night)]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_random_model(tmp_path_factory.mktemp("model") / "llama", "llama", shard="5MB", **SIZES)
    copy_companions(DEMO_MODEL, folder)  # a tokenizer, which GGUF holds too
    return folder


@pytest.fixture(scope="module", params=KINDS)
def spec(request: pytest.FixtureRequest, model: Path) -> dict[str, object]:
    method, *further = request.param.split()
    several = {"method": method, "further_methods": tuple(further), "shard_size_mb": 2}
    return {"kind": "quantize", "model": str(model), "threads": 1, "device": "cpu", **several}


@pytest.fixture(scope="module")
def wanted(spec: dict[str, object], tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return hashes(run_job(tmp_path_factory.mktemp("whole"), **spec).result)


def hashes(folder: Path) -> dict[str, str]:
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != "manifest.json"]
    return {path.relative_to(folder).as_posix(): sha256_of(path) for path in files}


def killed(job: JobFolder, bytes_written: int) -> None:
    """Run the job in a process of its own and kill that as soon as its hidden folder holds so many bytes."""
    part = job.path / f".result.part-{job.id}"
    command = [sys.executable, str(ROOT / "main.py"), "--worker", str(job.path)]
    worker = subprocess.Popen(command, env=helper_environment(1), stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT)
    while worker.poll() is None:  # however long a busy machine takes to come to it
        if size_of(part) >= bytes_written:
            os.kill(worker.pid, signal.SIGKILL)
            break
        time.sleep(0.001)
    worker.wait()
    assert worker.returncode == -signal.SIGKILL
    assert not (job.path / "result").exists()


def size_of(folder: Path) -> int:
    try:
        return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    except OSError:
        return 0


def goes_on(tmp_path: Path, spec: dict[str, object], bytes_written: int) -> tuple[Ran, set[str]]:
    """Kill a job, take it up again in this process; return how it ended and the files that were taken over."""
    job = new_job(tmp_path, **spec)
    killed(job, bytes_written)
    part = job.path / f".result.part-{job.id}"
    whole = {path.relative_to(part).as_posix(): path.stat().st_mtime_ns for path in part.rglob("[!.]*.safetensors")}
    ran = Ran(job, run_worker(job.path))
    kept = {name for name, when in whole.items() if (ran.result / name).stat().st_mtime_ns == when}
    assert kept == set(whole)
    return ran, kept


def test_a_killed_job_goes_on_after_its_last_whole_file(
    spec: dict[str, object], wanted: dict[str, str], tmp_path: Path
) -> None:
    ran, kept = goes_on(tmp_path, spec, 7_000_000)
    assert kept or "gguf" in str(spec["method"])  # one file; its tensors are taken over, see gguf/test_converter.py
    assert hashes(ran.result) == wanted
    assert manifest_problems(ran.result) == []


@pytest.mark.night
@pytest.mark.parametrize("seed", range(20))
def test_killed_anywhere(spec: dict[str, object], wanted: dict[str, str], tmp_path: Path, seed: int) -> None:
    least = 8_000_000 if spec["method"] == "int8_weight_only" else 15_000_000
    ran, _ = goes_on(tmp_path, spec, random.Random(seed).randrange(1, least))
    assert hashes(ran.result) == wanted


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.night) for seed in range(1, 20))])
def test_cancelled_anywhere_it_goes_on_to_the_same_bytes(
    spec: dict[str, object], wanted: dict[str, str], tmp_path: Path, seed: int
) -> None:
    job = new_job(tmp_path, **spec)
    part = job.path / f".result.part-{job.id}"
    point = random.Random(seed).randrange(1, 8_000_000)
    watch = when(lambda: size_of(part) >= point, lambda: job.ask(Request.CANCEL))
    ran = Ran(job, run_worker(job.path))
    watch.join()
    assert (ran.code, ran.last.kind) == (130, "cancelled")
    assert not (job.path / "result").exists()
    for request in Request:  # as the Resume button does
        job.take_back(request)
    ran = Ran(job, run_worker(job.path))
    assert hashes(ran.result) == wanted
    assert manifest_problems(ran.result) == []


def test_files_of_other_settings_are_not_taken_over(model: Path, tmp_path: Path) -> None:
    both = {"kind": "quantize", "model": str(model), "method": "nf4", "further_methods": ("int8",), "shard_size_mb": 2}
    other = {**both, "skip_modules": ("*.down_proj",), "threads": 1, "device": "cpu"}
    job = new_job(tmp_path, **other)
    part = job.path / f".result.part-{job.id}" / "nf4"
    part.mkdir(parents=True)
    (part / "model-00001-of-00003.safetensors").write_bytes(b"of another run")
    (part.parent / ".made-for").write_text("something else", encoding="utf-8")
    ran = Ran(job, run_worker(job.path))
    assert manifest_problems(ran.result) == []
    assert b"of another run" not in [path.read_bytes() for path in (ran.result / "nf4").iterdir()]


def test_cancelled_shows_nothing(spec: dict[str, object], tmp_path: Path) -> None:
    job = new_job(tmp_path, **spec)
    job.ask(Request.CANCEL)
    ran = Ran(job, run_worker(job.path))
    assert (ran.code, ran.last.kind) == (130, "cancelled")
    assert not (job.path / "result").exists()
