"""Out of memory is an event, not an end: told as such, the checkpoint is kept, a smaller plan goes on from it."""

from pathlib import Path
from typing import Any

import pytest
import torch

from desktop_app.job_folder import JobFolder
from desktop_app.jobs.less_memory import shrink
from desktop_app.workers.run import run_worker
from tests.workers.running import Ran, new_job, run_job, training

pytestmark = pytest.mark.filterwarnings("ignore")
SMALL = {"max_steps": 6, "save_steps": 2, "batch_size": 4, "gradient_accumulation": 1}


def full_beyond(rows: int, full: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let memory run out at step 4 for batches of more than `rows` rows."""
    from trl import SFTTrainer

    plain = SFTTrainer.compute_loss

    def compute_loss(self: Any, model: Any, inputs: Any, *args: Any, **options: Any) -> Any:
        if self.state.global_step >= 3 and len(inputs["input_ids"]) > rows:
            full()
        return plain(self, model, inputs, *args, **options)

    monkeypatch.setattr(SFTTrainer, "compute_loss", compute_loss)


def gpu_is_full() -> None:
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 8 GiB")


def ram_is_full() -> None:
    torch.empty(2**50, dtype=torch.uint8)


def again(job: JobFolder) -> Ran:
    return Ran(job, run_worker(job.path))


@pytest.mark.parametrize(("full", "words"), [(gpu_is_full, "2.00 GiB more"), (ram_is_full, "1048576.0 GiB more")])
def test_it_goes_on_from_the_checkpoint_with_smaller_batches(
    full: Any, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    undisturbed = run_job(tmp_path, **training(**SMALL, dropout=0))
    full_beyond(1, full, monkeypatch)
    job = new_job(tmp_path, **training(**SMALL, dropout=0))
    ran = again(job)
    assert (ran.code, ran.last.error) == (2, "memory")
    assert words in ran.last.message
    assert [event.step for event in ran.of_kind("checkpoint")] == [2]
    while shrink(job).changes["batch_size"] > 1:
        assert again(job).last.error == "memory"
    ran = again(job)
    assert ran.code == 0, ran.last
    assert any("Batches of 1 in place of 2" in event.text for event in ran.of_kind("notice"))
    assert ran.last.summary["steps"] == 6
    for name in ("steps", "tokens"):
        assert ran.last.summary[name] == undisturbed.last.summary[name], "the same examples, each once"
    assert ran.last.summary["eval_loss_after"] == pytest.approx(undisturbed.last.summary["eval_loss_after"], rel=1e-3)


def test_shorter_examples_and_another_optimizer_go_on_from_the_checkpoint_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full_beyond(0, gpu_is_full, monkeypatch)
    job = new_job(tmp_path, **training(**SMALL | {"batch_size": 1}, activation_checkpointing=True))
    assert again(job).last.error == "memory"
    assert shrink(job).changes == {"max_length": 64}
    assert again(job).last.error == "memory"
    assert shrink(job).changes == {"max_length": 64, "optimizer": "adamw_8bit"}
    monkeypatch.undo()
    ran = again(job)
    assert ran.code == 0, ran.last
    said = " ".join(event.text for event in ran.of_kind("notice"))
    assert "no longer comparable" in said
    assert "Going on from the checkpoint at step 2" in said
    assert ran.last.summary["optimizer"] == "AdamW (8 bits)"
    assert ran.last.summary["steps"] == 6
