"""One training by two processes under torchrun (gloo, on the processor): as one process would with both batches."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from desktop_app.job_folder import JobFolder, Request
from desktop_app.process import helper_environment
from tests.workers.running import DEMO_MODEL, ROOT, Ran, has_reached, new_job, run_job, training, when

pytestmark = [
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.skipif(os.name == "nt", reason="no gloo under torchrun"),
]
ADAPTER = "adapter_model.safetensors"
SMALL: dict[str, Any] = {"dropout": 0.0, "gradient_accumulation": 1, "held_out": 0.02}


def launched(job: JobFolder) -> "subprocess.Popen[bytes]":
    """Start the launcher as the supervisor does."""
    command = [sys.executable, str(ROOT / "main.py"), "--launch", str(job.path)]
    with job.console_file.open("ab") as console:
        return subprocess.Popen(command, env=helper_environment(1), stdout=console, stderr=console)


def losses(ran: Ran) -> dict[int, float]:
    return {event.step: event.values["loss"] for event in ran.of_kind("metric") if "loss" in event.values}


def test_two_processes_learn_what_one_does_with_both_batches_and_stop_together(tmp_path: Path) -> None:
    spec = training(**SMALL, warmup_ratio=0, scheduler="constant", save_steps=300)
    alone = run_job(tmp_path, **spec | {"max_steps": 12}, batch_size=4)
    job = new_job(tmp_path, **spec | {"max_steps": 300}, batch_size=2, processes=2)
    worker = launched(job)
    when(has_reached(job, 12), lambda: job.ask(Request.STOP))
    worker.wait(240)
    ran = Ran(job, 0)
    assert ran.last.kind == "succeeded", job.console_file.read_text()[-3000:]
    assert ran.last.stopped_early
    summary = ran.last.summary
    assert (summary["world_size"], summary["wrapper"]) == (2, "DistributedDataParallel")
    assert [event.seq for event in ran.events] == list(range(len(ran.events))), "one process alone writes"
    assert len(ran.of_kind("started")) == 1
    assert list(losses(ran).values())[:12] == pytest.approx(list(losses(alone).values()), rel=1e-4)
    assert summary["eval_loss_after"] < summary["eval_loss_before"]
    names = {path.name for path in (job.checkpoints_dir / f"step-{summary['steps']}").iterdir()}
    assert {"rng_state_0.pth", "rng_state_1.pth", ADAPTER} <= names


@pytest.mark.night
def test_a_killed_process_ends_all_and_the_job_goes_on_bit_for_bit(tmp_path: Path) -> None:
    spec = training(**SMALL | {"dropout": 0.1}, max_steps=16, save_steps=3, batch_size=2, processes=2)
    whole = new_job(tmp_path, **spec)
    launched(whole).wait(240)
    job = new_job(tmp_path, **spec)
    worker = launched(job)

    def kill() -> None:
        family = psutil.Process(worker.pid).children(recursive=True)
        ranks = [each for each in family if each.environ().get("RANK") == "1"]
        ranks[0].send_signal(signal.SIGKILL)

    when(has_reached(job, 5), kill)
    assert worker.wait(240) != 0
    ended = Ran(job, 1).last
    assert ended.kind == "failed" and "Another process" in ended.message, ended
    worker = launched(job)
    worker.wait(240)
    ran = Ran(job, 0)
    assert losses(ran) == losses(Ran(whole, 0))
    one, other = load_file(Ran(whole, 0).result / ADAPTER), load_file(ran.result / ADAPTER)
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_split_weights_learn_what_one_process_does_and_come_out_whole(tmp_path: Path) -> None:
    spec = training(**SMALL, method="full", learning_rate=1e-4, max_steps=3, save_steps=3)
    alone = run_job(tmp_path, **spec, batch_size=4)
    job = new_job(tmp_path, **spec, batch_size=2, processes=2, parallel="fsdp2")
    launched(job).wait(240)
    split = Ran(job, 0)
    assert split.last.kind == "succeeded", job.console_file.read_text()[-3000:]
    assert split.last.summary["wrapper"].startswith("FSDP")
    assert list(losses(split).values()) == pytest.approx(list(losses(alone).values()), rel=1e-4)
    assert split.last.summary["eval_loss_after"] == pytest.approx(alone.last.summary["eval_loss_after"], rel=1e-5)
    ids = torch.arange(5, 25)[None]
    base, one, other = (
        AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)(ids).logits
        for folder in (DEMO_MODEL, alone.result, split.result)
    )
    assert (one - other).abs().max() < 0.05 * (one - base).abs().max(), "the same was learned, but for rounding"


@pytest.mark.night
@pytest.mark.parametrize("method", ["lora", "dora", "pissa", "full"])
def test_split_weights_learn_what_copies_do_and_go_on_bit_for_bit(method: str, tmp_path: Path) -> None:
    rate = 1e-4 if method == "full" else 1e-3
    spec = training(**SMALL, method=method, learning_rate=rate, max_steps=4, save_steps=2, batch_size=2, processes=2)
    watched = {"eval_steps": 2, "keep_best": True, "sample_prompts": ["Hello"]}
    ended = []
    for parallel in ("ddp", "fsdp2"):
        job = new_job(tmp_path, **spec, **watched, parallel=parallel)
        launched(job).wait(240)
        ended.append(Ran(job, 0))
    copies, split = ended
    assert split.last.kind == "succeeded", split.folder.console_file.read_text()[-3000:]
    assert split.last.summary["wrapper"].startswith("FSDP")
    # The gradients' norm, by which they are clipped, is summed in parts: 6e-6 apart, of which 2e-7 reach the losses.
    assert list(losses(split).values()) == pytest.approx(list(losses(copies).values()), rel=1e-5)
    assert [event.answer for event in split.of_kind("sample")] == [event.answer for event in copies.of_kind("sample")]
    assert split.last.summary["eval_loss_after"] == pytest.approx(copies.last.summary["eval_loss_after"], rel=1e-5)
    name = "model.safetensors" if method == "full" else ADAPTER
    other = load_file(split.result / name)
    assert other.keys() == load_file(copies.result / name).keys()

    shutil.rmtree(split.result)
    shutil.rmtree(split.folder.checkpoints_dir / "step-4")
    launched(split.folder).wait(240)
    again = Ran(split.folder, 0)
    assert any("step 2" in event.text for event in again.of_kind("notice"))
    assert losses(again) == losses(split)
    resumed = load_file(again.result / name)
    assert all(torch.equal(other[key], resumed[key]) for key in other)


def test_weights_in_four_bits_are_not_split(tmp_path: Path) -> None:
    ran = run_job(tmp_path, **training(**SMALL, method="qlora", processes=2, parallel="fsdp2"))
    assert ran.last.kind == "failed" and "cannot be split" in ran.last.message


HOSTS = {"whetstone-a": "10.77.0.1", "whetstone-b": "10.77.0.2"}


def ip(*arguments: str) -> bool:
    try:
        return subprocess.run(["ip", *arguments], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


@pytest.fixture
def hosts() -> Iterator[list[str]]:
    """Two network namespaces joined by one cable: to everything above the network, two computers."""
    names = list(HOSTS)
    if not all(ip("netns", "add", name) for name in names):
        pytest.skip("this user cannot make network namespaces")
    try:
        assert ip("link", "add", "wh-a", "netns", names[0], "type", "veth", "peer", "name", "wh-b", "netns", names[1])
        for name, device in zip(names, ("wh-a", "wh-b"), strict=True):
            assert ip("-n", name, "addr", "add", f"{HOSTS[name]}/24", "dev", device)
            assert ip("-n", name, "link", "set", device, "up") and ip("-n", name, "link", "set", "lo", "up")
        yield names
    finally:
        for name in names:
            ip("netns", "del", name)


def test_two_computers_train_together_by_the_same_command_and_spec(hosts: list[str], tmp_path: Path) -> None:
    spec = tmp_path / "spec.json"
    spec.write_text(json.dumps(training(**SMALL, max_steps=4, batch_size=2)))
    together = ("--launch", "torchrun", "--nproc-per-node", "1", "--nnodes", "2", "--rdzv-endpoint", "10.77.0.1:29400")
    running = []
    for name in hosts:
        environment = {**os.environ, "WHETSTONE_DATA_DIR": str(tmp_path / name)}
        command = ["ip", "netns", "exec", name, sys.executable, str(ROOT / "main.py"), "run", str(spec), *together]
        running.append(
            subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        )
    said = [program.communicate(timeout=240)[0] for program in running]
    assert [program.returncode for program in running] == [0, 0], "\n".join(said)
    ends = []
    for name in hosts:
        (folder,) = (tmp_path / name / "jobs").glob("2*")
        ends.append(Ran(JobFolder(folder), 0).last)
    assert all(end.kind == "succeeded" for end in ends)
    writer, helper = sorted(ends, key=lambda end: not end.result)
    assert writer.summary["world_size"] == 2 and (Path(writer.result) / ADAPTER).is_file()
    assert helper.result == "" and "took part" in helper.checks["training"]
    _wait_for_supervisors(tmp_path)


def _wait_for_supervisors(folder: Path) -> None:
    """A supervisor leaves when nothing is to be done; the namespaces can go only then."""
    end = time.monotonic() + 20
    while time.monotonic() < end and any(str(folder) in " ".join(_environment(each)) for each in psutil.process_iter()):
        time.sleep(0.1)


def _environment(process: psutil.Process) -> list[str]:
    try:
        return list(process.environ().values()) if "--supervise" in process.cmdline() else []
    except psutil.Error:
        return []
