"""Prompt and answers of preference and KTO rows have the ids that trl's own trainers make of the same rows."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM, LlamaForSequenceClassification
from trl import DPOConfig, DPOTrainer, KTOConfig, KTOTrainer, RewardConfig, RewardTrainer

from desktop_app.training_data.examples import read_examples
from desktop_app.training_data.tokenization import AnswerTokens, Tokenization
from tests.fakes.tiny_tokenizer import CHATML, CHATML_WITH_MARKERS, THINKING, write_tokenizer

pytestmark = pytest.mark.filterwarnings("ignore")
_TEMPLATES = {"plain": "", "ChatML": CHATML, "ChatML with markers": CHATML_WITH_MARKERS, "thinking": THINKING}
_ARGUMENTS = {"report_to": [], "use_cpu": True, "bf16": False, "disable_tqdm": True, "max_length": 512}
_TALK = [{"role": "user", "content": "naïve 日本?"}, {"role": "assistant", "content": "It is red."}]


def _said(number: int) -> list[dict[str, str]]:
    asked = [{"role": "user", "content": f"Where is tool {number}?"}]
    return [*_TALK, *asked] if number % 2 else asked


def _rows() -> list[dict[str, Any]]:
    """Preference rows as trl wants them."""
    return [
        {
            "prompt": _said(number),
            "chosen": [{"role": "assistant", "content": f"In the barn {number}."}],
            "rejected": [{"role": "assistant", "content": "In the sky, 🙂"}],
        }
        for number in range(8)
    ]


def _as_file(rows: list[dict[str, Any]], layout: str, file: Path) -> Path:
    """Write the same rows in one of the layouts that people have."""
    written: list[dict[str, Any]] = {
        "explicit": rows,
        "implicit": [
            {"chosen": row["prompt"] + row["chosen"], "rejected": row["prompt"] + row["rejected"]} for row in rows
        ],
        "sharegpt": [
            {
                "conversations": [
                    {"from": {"user": "human", "assistant": "gpt"}[turn["role"]], "value": turn["content"]}
                    for turn in row["prompt"]
                ],
                "chosen": {"from": "gpt", "value": row["chosen"][0]["content"]},
                "rejected": {"from": "gpt", "value": row["rejected"][0]["content"]},
            }
            for row in rows
        ],
    }[layout]
    file.write_text("".join(json.dumps(row) + "\n" for row in written), encoding="utf-8")
    return file


@pytest.fixture(scope="module", params=_TEMPLATES)
def model_folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tokenizer(tmp_path_factory.mktemp("model"), _TEMPLATES[request.param])


def _tokenizer(folder: Path) -> Any:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.chat_template = Tokenization(folder).template.source
    return tokenizer


def _model(kind: Any = LlamaForCausalLM, **options: Any) -> Any:
    torch.manual_seed(1)
    sizes = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    return kind(LlamaConfig(vocab_size=400, bos_token_id=0, eos_token_id=1, pad_token_id=1, **sizes, **options))


def _ours(folder: Path, file: Path) -> list[AnswerTokens]:
    tokenization = Tokenization(folder)
    return [tokenization.answer_tokens(example) for example in read_examples(file)]


@pytest.mark.parametrize("layout", ["explicit", "implicit", "sharegpt"])
def test_pairs_are_those_of_trl(model_folder: Path, layout: str, tmp_path: Path) -> None:
    ours = _ours(model_folder, _as_file(_rows(), layout, tmp_path / "data.jsonl"))
    tokenizer, rows = _tokenizer(model_folder), Dataset.from_list(_rows())
    trainer = DPOTrainer(
        model=_model(),
        ref_model=_model(),
        args=DPOConfig(str(tmp_path), **_ARGUMENTS),
        train_dataset=rows,
        processing_class=tokenizer,
    )
    theirs = [(row["prompt_ids"], row["chosen_ids"], row["rejected_ids"]) for row in trainer.train_dataset]
    assert [(one.prompt_ids, one.answer_ids, one.rejected_ids) for one in ours] == theirs
    assert all(prompt and chosen and rejected for prompt, chosen, rejected in theirs)
    if layout == "explicit":
        reward = RewardTrainer(
            model=_model(LlamaForSequenceClassification, num_labels=1),
            args=RewardConfig(str(tmp_path), **_ARGUMENTS),
            train_dataset=rows,
            processing_class=tokenizer,
        )
        whole = [(one.prompt_ids + one.answer_ids, one.prompt_ids + one.rejected_ids) for one in ours]
        assert whole == [(row["chosen_ids"], row["rejected_ids"]) for row in reward.train_dataset]


def test_labelled_answers_are_those_of_trl(model_folder: Path, tmp_path: Path) -> None:
    rows = [{"prompt": row["prompt"], "completion": row["chosen"], "label": n % 3 > 0} for n, row in enumerate(_rows())]
    file = tmp_path / "data.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    ours = _ours(model_folder, file)
    as_messages = [{"messages": row["prompt"] + row["completion"], "label": row["label"]} for row in rows]  # type: ignore[operator]
    file.write_text("".join(json.dumps(row) + "\n" for row in as_messages), encoding="utf-8")
    assert _ours(model_folder, file) == ours
    trainer = KTOTrainer(
        model=_model(),
        ref_model=_model(),
        args=KTOConfig(str(tmp_path), per_device_train_batch_size=2, **_ARGUMENTS),
        train_dataset=Dataset.from_list(rows),
        processing_class=_tokenizer(model_folder),
    )
    theirs = [(row["prompt_ids"], row["completion_ids"], row["label"]) for row in trainer.train_dataset]
    assert [(one.prompt_ids, one.answer_ids, one.label) for one in ours] == theirs
