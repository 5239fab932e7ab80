"""Fine-tuning the demo model for real: what it learns, what it leaves, what it obeys, what it survives."""

import json
import math
import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from desktop_app.errors import StorageError
from desktop_app.job_folder import JobFolder, Request
from desktop_app.process import helper_environment
from desktop_app.result_folder import manifest_problems, read_manifest
from desktop_app.workers.run import run_worker
from tests.workers.plain_trl import plain_trainer
from tests.workers.running import (
    DEMO_MODEL,
    Ran,
    fresh_python,
    has_reached,
    new_job,
    run_job,
    training,
    when,
)

pytestmark = pytest.mark.filterwarnings("ignore")
ADAPTER = "adapter_model.safetensors"


@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=pytest.mark.night) for seed in (2, 3))])
def test_lora_lowers_the_loss_on_rows_it_has_not_seen(tmp_path: Path, seed: int) -> None:
    ran = run_job(tmp_path, **training(seed=seed, max_steps=25, learning_rate=2e-3, rank=16))
    before, after = ran.last.summary["eval_loss_before"], ran.last.summary["eval_loss_after"]
    assert after < 0.8 * before
    told = [event.values["eval_loss"] for event in ran.of_kind("metric") if "eval_loss" in event.values]
    assert told == [before, after]


def test_a_training_tells_what_it_does_and_what_it_used(lora: Ran) -> None:
    assert lora.code == 0
    summary = lora.last.summary
    assert summary["steps"] == 4
    assert summary["held_out_rows"] == 18
    assert summary["quantization"] == "none"
    assert summary["dtype"] == summary["adapter_dtype"] == "float32"
    assert summary["peak_bytes"] > 10**8
    assert 5 * 10**8 < summary["planned_bytes"] < 8 * 10**8, "what was estimated stands beside what was measured"
    losses = [event for event in lora.of_kind("metric") if "loss" in event.values]
    assert [event.step for event in losses] == [1, 2, 3, 4]
    assert {"loss", "learning_rate", "grad_norm"} <= losses[-1].values.keys()
    assert lora.of_kind("progress")[-1].done == 4
    assert [event.step for event in lora.of_kind("checkpoint")] == [2, 4]
    assert (lora.folder.machine_file).stat().st_size > 0


def test_what_is_really_in_use_is_told_before_the_first_step(lora: Ran) -> None:
    kinds = [event.kind for event in lora.events]
    (told,) = lora.of_kind("in_use")
    first = next(at for at, event in enumerate(lora.events) if "loss" in getattr(event, "values", {}))
    assert kinds.index("in_use") < first
    same = ("trainable_parameters", "dtype", "compute_dtype", "adapter_dtype", "attention", "optimizer", "world_size")
    assert {name: told.facts[name] for name in same} == {name: lora.last.summary[name] for name in same}
    assert (told.facts["optimizer"], told.facts["world_size"]) == ("AdamW", 1)
    assert "Peft" in told.facts["wrapper"]


def test_the_result_says_where_it_comes_from(lora: Ran) -> None:
    assert manifest_problems(lora.result) == []
    manifest = read_manifest(lora.result)
    assert manifest["spec"]["rank"] == 8
    assert len(manifest["source"]["headers_sha256"]) == len(manifest["data_fingerprint"]) == 64
    assert manifest["versions"]["torch"] == torch.__version__
    assert (lora.result / "chat_template.jinja").read_text() == (DEMO_MODEL / "chat_template.jinja").read_text()
    card, summary = (lora.result / "README.md").read_text(), lora.last.summary
    before, after = summary["eval_loss_before"], summary["eval_loss_after"]
    assert f"loss {before:.4f} before, {after:.4f} after" in card
    assert f"On {summary['worse_rows']} of them" in card and manifest["data_fingerprint"] in card
    assert manifest["hardware"]["memory_bytes"] > 2**30
    assert not list(lora.folder.path.glob(".*")), "nothing is left aside"
    assert {path.name for path in lora.folder.checkpoints_dir.iterdir()} == {"step-2", "step-4"}


def test_the_adapter_loads_in_plain_peft(lora: Ran) -> None:
    program = """
import sys
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer
model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(sys.argv[1]), sys.argv[2])
tokenizer = AutoTokenizer.from_pretrained(sys.argv[2])
ids = tokenizer.apply_chat_template([{"role": "user", "content": "Where is the hammer?"}], add_generation_prompt=True,
                                    return_tensors="pt", return_dict=True)
print(tokenizer.decode(model.generate(**ids, max_new_tokens=8, do_sample=False)[0]))
assert not any(name.startswith("desktop_app") for name in sys.modules)
"""
    out = subprocess.run(
        fresh_python(program, str(DEMO_MODEL), str(lora.result)),
        capture_output=True,
        text=True,
        env=helper_environment(1),
        cwd=lora.result,
        check=True,
    )
    assert "Where is the hammer?" in out.stdout


def test_qlora_trains_on_four_bits_and_keeps_the_adapter_in_fp32(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(socket.socket, "connect", lambda self, address: asked.append(address))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *names, **more: asked.append(names) or [])
    ran = run_job(tmp_path, **training(method="qlora", eval_steps=2))
    assert ran.code == 0
    assert asked == [], "nothing may reach for the network"
    assert ran.last.summary["quantization"] == "NF4 (4 bits)"
    assert ran.last.summary["adapter_dtype"] == "float32"
    assert ran.last.summary["eval_loss_after"] < ran.last.summary["eval_loss_before"]
    assert all(tensor.dtype == torch.float32 for tensor in load_file(ran.result / ADAPTER).values())


def test_measuring_between_steps_does_not_change_the_training(tmp_path: Path) -> None:
    """On some CPUs bitsandbytes repacks 4-bit weights while measuring, and gradients are wrong afterwards."""
    adapters = [
        load_file(run_job(tmp_path, **training(method="qlora", eval_steps=steps, max_rows=60)).result / ADAPTER)
        for steps in (None, 1)
    ]
    assert all(torch.equal(adapters[0][name], adapters[1][name]) for name in adapters[0])


def test_our_tokens_train_the_same_adapter_as_trls_own_path(tmp_path: Path) -> None:
    ours = run_job(tmp_path, **training(held_out=0, dropout=0.05, seed=5, save_steps=None))
    trainer = plain_trainer(tmp_path / "trl", {"lora_dropout": 0.05}, max_steps=4, seed=5)
    trainer.train()
    trainer.model.save_pretrained(tmp_path / "plain")
    written, plain = load_file(ours.result / ADAPTER), load_file(tmp_path / "plain" / ADAPTER)
    assert written.keys() == plain.keys()
    assert all(torch.equal(written[name], plain[name]) for name in plain)


def test_stop_and_save_keeps_what_was_learned(tmp_path: Path) -> None:
    job = new_job(tmp_path, **training(max_steps=5000))
    when(has_reached(job, 2), lambda: job.ask(Request.STOP))
    ran = Ran(job, run_worker(job.path))
    assert ran.code == 0
    assert ran.last.stopped_early
    assert 2 <= ran.last.summary["steps"] < 5000
    assert ran.of_kind("checkpoint")[-1].step == ran.last.summary["steps"]
    assert manifest_problems(ran.result) == []


def test_cancel_leaves_no_result(tmp_path: Path) -> None:
    job = new_job(tmp_path, **training(max_steps=5000))
    when(has_reached(job, 1), lambda: job.ask(Request.CANCEL))
    ran = Ran(job, run_worker(job.path))
    assert ran.code == 130
    assert ran.last.kind == "cancelled"
    assert not (job.path / "result").exists()
    assert not list(job.path.glob(".result*"))


def test_a_pause_holds_between_steps(tmp_path: Path) -> None:
    job = new_job(tmp_path, **training(max_steps=6))
    job.ask(Request.PAUSE)
    is_held = lambda: any(event.kind == "paused" for event in job.read_events().events)  # noqa: E731
    when(is_held, lambda: (time.sleep(0.5), job.take_back(Request.PAUSE)))
    ran = Ran(job, run_worker(job.path))
    assert ran.code == 0
    kinds = [event.kind for event in ran.events if event.kind in ("paused", "resumed")]
    assert kinds == ["paused", "resumed"]
    paused, resumed = ran.of_kind("paused")[0], ran.of_kind("resumed")[0]
    assert resumed.time - paused.time > 0.4
    assert not [event for event in ran.of_kind("metric") if paused.time < event.time < resumed.time]


def test_a_damaged_checkpoint_is_passed_over(lora: Ran, tmp_path: Path) -> None:
    again = JobFolder(tmp_path / "again")
    shutil.copytree(lora.folder.path, again.path)
    shutil.rmtree(again.path / "result")
    with (again.checkpoints_dir / "step-4" / "optimizer.pt").open("r+b") as stream:
        stream.truncate(100)
    ran = Ran(again, run_worker(again.path))
    assert ran.code == 0
    said = " ".join(event.text for event in ran.of_kind("notice"))
    assert "step-4 is damaged" in said
    assert "checkpoint at step 2" in said
    one, other = load_file(lora.result / ADAPTER), load_file(ran.result / ADAPTER)
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_checkpoint_of_other_data_is_refused(lora: Ran, tmp_path: Path) -> None:
    again = JobFolder(tmp_path / "again")
    shutil.copytree(lora.folder.path, again.path)
    shutil.rmtree(again.path / "result")
    raw = json.loads(again.spec_file.read_text())
    again.spec_file.write_text(json.dumps({**raw, "max_rows": 100}))
    ran = Ran(again, run_worker(again.path))
    assert (ran.code, ran.last.error) == (2, "data")
    assert "not those that this training began with" in ran.last.message


@pytest.mark.parametrize("damage", ["zero", "nan", "shuffled", "truncated", "missing"])
def test_a_spoiled_adapter_is_not_shown(lora: Ran, tmp_path: Path, damage: str) -> None:
    from desktop_app.workers.adapter_result import Trained, check_adapter, with_adapter
    from desktop_app.workers.loading import load_model
    from desktop_app.workers.measure import first_logits

    def fresh_base() -> Any:
        return load_model(DEMO_MODEL, torch.device("cpu"), torch.float32)

    folder = tmp_path / "adapter"
    shutil.copytree(lora.result, folder)
    tensors = load_file(folder / ADAPTER)
    row = {"input_ids": list(range(40)), "labels": list(range(40))}
    logits = first_logits(with_adapter(fresh_base(), folder), row)
    trained = Trained(tensors={name: tensor.clone() for name, tensor in tensors.items()}, row=row, logits=logits)
    assert check_adapter(folder, trained, fresh_base).keys() == {"tensors", "reload"}
    b_names = sorted(name for name in tensors if "lora_B" in name and "q_proj" in name)
    if damage == "zero":
        tensors = {name: torch.zeros_like(tensor) for name, tensor in tensors.items()}
    elif damage == "nan":
        tensors[b_names[0]][0, 0] = float("nan")
    elif damage == "shuffled":
        tensors[b_names[0]], tensors[b_names[1]] = tensors[b_names[1]], tensors[b_names[0]]
    elif damage == "missing":
        del tensors[b_names[0]]
    save_file(tensors, folder / ADAPTER, metadata={"format": "pt"})
    if damage == "truncated":
        (folder / ADAPTER).write_bytes((folder / ADAPTER).read_bytes()[:-1000])
    from safetensors import SafetensorError

    with pytest.raises((StorageError, SafetensorError)):
        check_adapter(folder, trained, fresh_base)


@pytest.mark.parametrize("broken", ["loss", "gradient"])
def test_numbers_that_are_none_stop_the_training(broken: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from trl import SFTTrainer

    plain = SFTTrainer.compute_loss

    def compute_loss(self: Any, *args: Any, **options: Any) -> Any:
        loss = plain(self, *args, **options)
        if self.state.global_step < 5:
            return loss
        # The gradient of a root is not finite at 0, where the root is.
        return loss * math.nan if broken == "loss" else loss + (loss - loss.detach()).abs().sqrt()

    monkeypatch.setattr(SFTTrainer, "compute_loss", compute_loss)
    ran = run_job(tmp_path, **training(max_steps=8, save_steps=2))
    assert ran.code == 2
    assert ran.last.error == "spec"
    what = "The loss" if broken == "loss" else "The gradient"
    assert ran.last.message.startswith(f"{what} is no longer a number at step 6 ")
    assert "learning_rate (it is 0.001)" in ran.last.hint
    assert [event.step for event in ran.of_kind("checkpoint")] == [2, 4]
    assert all(
        tensor.isfinite().all() for tensor in load_file(ran.folder.checkpoints_dir / "step-4" / ADAPTER).values()
    )


def test_a_model_172_wide_trains_in_four_bits(odd_model: Path, tmp_path: Path) -> None:
    ran = run_job(tmp_path, **training(model=str(odd_model), method="qlora", max_steps=2))
    assert ran.code == 0
    said = " ".join(event.text for event in ran.of_kind("notice"))
    assert "6 of 15 linear layers are not quantized" in said
    assert "mlp.gate_proj, mlp.up_proj, mlp.down_proj" in said
