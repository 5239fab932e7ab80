"""The card of a result says what was measured, and says so where nothing was."""

from pathlib import Path
from typing import Any

from desktop_app.domain.finetune_spec import FinetuneSpec
from desktop_app.workers.model_card import write_card

SPEC = FinetuneSpec(model="/models/tiny", data="/data/chats.jsonl", rank=8)
FIGURES: dict[str, Any] = {
    "steps": 90, "result_step": 60, "train_rows": 240, "held_out_rows": 50, "trained_share": 0.32, "worse_rows": 3,
    "eval_loss_before": 2.0, "eval_loss_after": 1.5, "device": "CPU (1 thread)", "optimizer": "AdamW",
}  # fmt: skip


def card(folder: Path, spec: FinetuneSpec = SPEC, **figures: Any) -> str:
    write_card(folder, spec, FIGURES | figures, "abc123", {"torch": "2.13.0"}, {"cores": 2, "memory_bytes": 2**34})
    return (folder / "README.md").read_text()


def test_it_says_what_was_measured_and_on_what(tmp_path: Path) -> None:
    said = card(tmp_path)
    assert "On 50 rows that were kept aside: loss 2.0000 before, 1.5000 after (-25.0%)." in said
    assert "On 3 of them it is worse than the base model." in said
    assert "chats.jsonl: 240 rows, of whose tokens 32% were trained. Chat template: own." in said
    assert "90 steps of 8 rows; these are the weights of step 60" in said
    assert "cores 2, 16.0 GiB of memory" in said and "torch 2.13.0" in said and "abc123" in said
    assert "Merged" not in said


def test_without_held_out_rows_it_says_that_nothing_is_known(tmp_path: Path) -> None:
    said = card(tmp_path, held_out_rows=0, eval_loss_before=None, eval_loss_after=None, worse_rows=None)
    assert "it is not known what it does on rows it has not seen" in said
    assert "before," not in said


def test_a_merged_model_is_compared(tmp_path: Path) -> None:
    said = card(tmp_path, merged_logit_difference=0.0123, merged_eval_loss_change=-0.00021, eval_accuracy_after=0.81)
    assert "at most 0.0123 from those of base and adapter, and the held-out loss by -0.021%." in said
    assert "preferred in 81% of the comparisons" in said
