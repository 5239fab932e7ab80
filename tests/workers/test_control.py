"""What a user can ask of a training while it runs, and what it decides by itself."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from desktop_app.job_folder import Request
from desktop_app.workers.run import run_worker
from tests.workers.running import Ran, new_job, run_job, training

pytestmark = pytest.mark.filterwarnings("ignore")
ADAPTER = "adapter_model.safetensors"


def test_measuring_saving_and_sample_answers_change_nothing_in_the_training(tmp_path: Path) -> None:
    plain = run_job(tmp_path, **training())
    prompts = ("Where is the hammer?", "Who is Anna?")
    job = new_job(tmp_path, **training(sample_prompts=prompts, sample_steps=2, sample_tokens=8))
    job.ask(Request.SAVE)
    job.ask(Request.MEASURE)
    ran = Ran(job, run_worker(job.path))
    assert ran.code == 0, ran.last
    assert [event.step for event in ran.of_kind("checkpoint")] == [1]
    measured = [event.step for event in ran.of_kind("metric") if "eval_loss" in event.values]
    assert measured == [0, 1, 4]
    assert [(event.step, event.prompt) for event in ran.of_kind("sample")] == [
        (step, prompt) for step in (0, 1, 2, 4) for prompt in prompts
    ]
    assert not job.is_asked(Request.SAVE) and not job.is_asked(Request.MEASURE)
    one, other = load_file(plain.result / ADAPTER), load_file(ran.result / ADAPTER)
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_it_ends_where_nothing_improves_and_the_best_weights_are_the_result(tmp_path: Path) -> None:
    options = {"max_steps": 40, "eval_steps": 1, "early_stopping": 2, "keep_best": True, "keep_checkpoints": 1}
    sizes = {"batch_size": 2, "gradient_accumulation": 1, "learning_rate": 0.01, "scheduler": "constant"}
    ran = run_job(tmp_path, **training(**options, **sizes, warmup_ratio=0, rank=32))
    assert ran.code == 0, ran.last
    summary = ran.last.summary
    told = {event.step: event.values["eval_loss"] for event in ran.of_kind("metric") if "eval_loss" in event.values}
    best = min((step for step in told if step), key=lambda step: told[step])
    assert summary["steps"] == best + 2 < 40
    assert summary["result_step"] == best
    assert summary["eval_loss_after"] == pytest.approx(told[best], abs=1e-6)
    assert {path.name for path in ran.folder.checkpoints_dir.iterdir()} == {f"step-{best}", f"step-{best + 2}"}
    kept = load_file(ran.folder.checkpoints_dir / f"step-{best}" / ADAPTER)
    written = load_file(ran.result / ADAPTER)
    assert all(torch.equal(written[name], kept[name]) for name in kept)
    said = " ".join(event.text for event in ran.of_kind("notice"))
    assert f"was lowest at step {best}" in said
    assert f"The result is that of step {best}" in said
