"""Each objective learns what it is for: measured on pairs that we made and that no training has seen."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.fakes.preferences import write_likes, write_pairs
from tests.workers.running import DEMO_MODEL, Ran, run_job, training

pytestmark = pytest.mark.filterwarnings("ignore")
_LEARNS: dict[str, dict[str, Any]] = {
    "dpo": {"learning_rate": 1e-3, "max_steps": 16},
    "kto": {"learning_rate": 2e-3, "max_steps": 16},
    "orpo": {"learning_rate": 2e-3, "max_steps": 16},
    "reward": {"learning_rate": 2e-3, "max_steps": 20},
}


# A reward model's untrained layer is drawn at random and may be right by luck, on few rules for most pairs.
_REACHED = {"dpo": 0.7, "kto": 0.7, "orpo": 0.7, "reward": 0.9}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Rows to learn from, and rows to measure with."""
    folder = tmp_path_factory.mktemp("preferences")
    return {
        "pairs": write_pairs(folder / "pairs.jsonl", 120, seed=1),
        "unseen pairs": write_pairs(folder / "unseen.jsonl", 60, seed=2),
        "many unseen pairs": write_pairs(folder / "many unseen.jsonl", 200, seed=2),
        "likes": write_likes(folder / "likes.jsonl", 120, seed=1),
        "unseen likes": write_likes(folder / "unseen likes.jsonl", 60, seed=2),
    }


def learned(parent: Path, files: dict[str, Path], objective: str, **more: Any) -> Ran:
    kind = "likes" if objective == "kto" else "pairs"
    unseen = "many unseen pairs" if objective == "dpo" else f"unseen {kind}"
    data = {"data": str(files[kind]), "evaluation_data": str(files[unseen])}
    sizes = {"batch_size": 4, "gradient_accumulation": 1, "held_out": 0, "dropout": 0}
    return run_job(parent, **training(**data | sizes | _LEARNS[objective] | {"objective": objective} | more))


@pytest.mark.parametrize("objective", _LEARNS)
def test_it_prefers_what_was_chosen_in_pairs_it_has_not_seen(
    objective: str, files: dict[str, Path], tmp_path: Path
) -> None:
    ran = learned(tmp_path, files, objective)
    assert ran.code == 0, ran.last
    summary = ran.last.summary
    assert summary["held_out_rows"] == (200 if objective == "dpo" else 60)
    assert summary["eval_accuracy_after"] >= _REACHED[objective]
    assert summary["eval_accuracy_after"] > summary["eval_accuracy_before"], "against the untrained control"
    if objective in ("dpo", "kto"):
        assert summary["eval_accuracy_before"] == 0.5, "against itself a model prefers nothing"
    assert summary["eval_margin_after"] > summary["eval_margin_before"]
    assert summary["eval_loss_after"] < summary["eval_loss_before"]
    told = {name for event in ran.of_kind("metric") for name in event.values}
    assert {"reward_margin", "loss"} <= told
    assert objective == "kto" or "reward_accuracy" in told


def test_a_reward_model_loads_in_plain_peft_and_scores_as_measured(files: dict[str, Path], tmp_path: Path) -> None:
    from peft import PeftModel
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    ran = learned(tmp_path, files, "reward", evaluation_data=None, held_out=0.05, sample_prompts=("Where?",))
    assert any("writes nothing" in event.text for event in ran.of_kind("notice"))
    base = AutoModelForSequenceClassification.from_pretrained(DEMO_MODEL, num_labels=1, dtype=torch.float32)
    model = PeftModel.from_pretrained(base, ran.result).eval()
    tokenizer = AutoTokenizer.from_pretrained(ran.result)
    right = 0
    rows = [json.loads(line) for line in files["unseen pairs"].read_text().splitlines()[:40]]
    for row in rows:
        scores = []
        for side in ("chosen", "rejected"):
            ids = tokenizer.apply_chat_template(row["prompt"] + row[side], return_tensors="pt", return_dict=True)
            with torch.no_grad():
                scores.append(float(model(**ids).logits[0, 0]))
        right += scores[0] > scores[1]
    assert right >= 28
    assert "num_labels=1" in (ran.result / "README.md").read_text()


@pytest.mark.parametrize(("method", "result"), [("full", "model.safetensors"), ("pissa", "adapter_model.safetensors")])
def test_dpo_holds_on_to_the_model_as_it_was_where_that_is_a_second_one(
    method: str, result: str, files: dict[str, Path], tmp_path: Path
) -> None:
    ran = learned(tmp_path, files, "dpo", method=method, learning_rate=1e-4, max_steps=2, evaluation_data=None)
    assert ran.code == 0, ran.last
    first = next(event.values for event in ran.of_kind("metric") if "reward_margin" in event.values)
    assert first["loss"] == pytest.approx(0.6931, abs=1e-3), "before the first step both models are the same"
    assert (ran.result / result).is_file()


def test_data_without_pairs_is_refused_in_words(tmp_path: Path) -> None:
    ran = run_job(tmp_path, **training(objective="dpo"))
    assert (ran.code, ran.last.error) == (2, "data")
    assert "holds a chosen and a rejected answer" in ran.last.message


@pytest.mark.parametrize("side", ["chosen", "rejected"])
def test_our_pairs_are_tokenized_as_trl_does(side: str, files: dict[str, Path]) -> None:
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl import DPOConfig, DPOTrainer

    from desktop_app.domain.data_choice import DataChoice
    from desktop_app.training_data.examples import examples_of
    from desktop_app.training_data.tokenization import Tokenization
    from desktop_app.workers.answer_rows import answers_tokenized

    choice = DataChoice(paths=(str(files["pairs"]),))
    ours = answers_tokenized(examples_of(choice), Tokenization(DEMO_MODEL), 128, "dpo").rows
    rows = [json.loads(line) for line in files["pairs"].read_text().splitlines()]
    trainer = DPOTrainer(
        model=AutoModelForCausalLM.from_pretrained(DEMO_MODEL),
        args=DPOConfig(output_dir="unused", use_cpu=True, bf16=False, report_to="none", max_length=128),
        train_dataset=Dataset.from_list(rows),
        processing_class=AutoTokenizer.from_pretrained(DEMO_MODEL),
    )
    theirs = trainer.train_dataset
    assert [row["prompt_ids"] + row[f"{side}_ids"] for row in ours] == [
        row["prompt_ids"] + row[f"{side}_ids"] for row in theirs
    ]
