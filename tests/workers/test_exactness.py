"""A training is the one that plain trl would make, and the one that was not interrupted, to the last bit."""

import multiprocessing
import os
import random
import signal
import time
from multiprocessing.context import BaseContext
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from desktop_app.workers.run import run_worker
from tests.fakes.preferences import write_pairs
from tests.workers.plain_trl import plain_losses, plain_trainer
from tests.workers.running import Ran, new_job, run_job, training

pytestmark = pytest.mark.filterwarnings("ignore")


def losses(ran: Ran) -> dict[int, float]:
    """The loss of each step; steps that were made again replace the earlier ones."""
    return {event.step: event.values["loss"] for event in ran.of_kind("metric") if "loss" in event.values}


def weights(ran: Ran) -> dict[str, torch.Tensor]:
    """What came out."""
    return {name: t for file in sorted(ran.result.glob("*.safetensors")) for name, t in load_file(file).items()}


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize(("method", "lora"), [("lora", {"lora_dropout": 0.05}), ("full", None)])
def test_fifty_steps_lose_what_plain_trl_loses(method: str, lora: dict[str, Any] | None, tmp_path: Path) -> None:
    rate = {"lora": 1e-3, "full": 1e-4}[method]
    options = {"max_steps": 50, "learning_rate": rate, "seed": 5, "batch_size": 2, "gradient_accumulation": 1}
    ours = run_job(tmp_path, **training(method=method, held_out=0, **options))
    plain = plain_losses(
        plain_trainer(tmp_path / "plain", lora, max_steps=50, learning_rate=rate, seed=5, gradient_accumulation_steps=1)
    )
    assert len(plain) == 50
    assert list(losses(ours).values()) == plain


@pytest.fixture(scope="module")
def processes() -> BaseContext:
    """Makes processes in which the libraries are imported already, where the system can: that takes longest."""
    if os.name == "nt":
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["desktop_app.workers.run", "desktop_app.workers.training"])
    return context


def killed_and_continued(tmp_path: Path, spec: dict[str, Any], at_step: int, processes: BaseContext) -> Ran:
    """Kill the worker without warning once it has reported a step, and let the job go on."""
    job = new_job(tmp_path, **spec)
    worker = processes.Process(target=run_worker, args=(job.path,))
    worker.start()
    while worker.is_alive():
        done = [event.done for event in job.read_events().events if getattr(event, "unit", "") == "step"]
        if done and max(done) >= at_step:
            worker.kill()
            break
        time.sleep(0.01)
    worker.join(60)
    assert worker.exitcode == -signal.SIGKILL
    return Ran(job, run_worker(job.path))


SMALL = {
    "max_steps": 8,
    "save_steps": 3,
    "dropout": 0.1,
    "logging_steps": 2,
    "batch_size": 2,
    "gradient_accumulation": 1,
    "held_out": 0.02,
}
METHODS = {
    "lora": {},
    "qlora": {"method": "qlora", "eval_steps": 2},
    "full": {"method": "full", "learning_rate": 1e-4},
    "dpo": {"objective": "dpo"},
}


def spec_of(method: str, folder: Path, **more: Any) -> dict[str, Any]:
    """The spec of a short training, for DPO on pairs that we make."""
    data = {"data": str(write_pairs(folder / "pairs.jsonl", 40))} if method == "dpo" else {}
    return training(**SMALL | METHODS[method] | data | more)


@pytest.mark.parametrize("method", METHODS)
def test_a_killed_training_goes_on_as_if_nothing_had_happened(
    method: str, tmp_path: Path, processes: BaseContext
) -> None:
    spec = spec_of(method, tmp_path)
    whole = run_job(tmp_path, **spec)
    ran = killed_and_continued(tmp_path, spec, 5, processes)
    assert ran.code == 0
    assert any("Going on from the checkpoint at step" in event.text for event in ran.of_kind("notice"))
    assert [event.seq for event in ran.events] == list(range(len(ran.events)))
    assert losses(ran) == losses(whole)
    assert same(weights(whole), weights(ran))
    assert whole.last.summary["tokens"] == ran.last.summary["tokens"]


@pytest.mark.night
@pytest.mark.parametrize("method", METHODS)
def test_twenty_kills_at_random_steps_change_no_bit(method: str, tmp_path: Path, processes: BaseContext) -> None:
    spec = spec_of(method, tmp_path, max_steps=24, save_steps=4)
    whole = run_job(tmp_path, **spec)
    drawn = random.Random(20)
    for _ in range(20):
        ran = killed_and_continued(tmp_path, spec, drawn.randint(1, 22), processes)
        assert losses(ran) == losses(whole)
        assert same(weights(whole), weights(ran))
