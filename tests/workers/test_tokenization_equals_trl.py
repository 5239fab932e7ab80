"""Our tokens and labels are those of trl's own path, and training on them gives the same adapter, bit for bit."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset
from peft import LoraConfig, get_peft_model_state_dict
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM, set_seed
from trl import SFTConfig, SFTTrainer

from desktop_app.training_data.examples import read_examples
from desktop_app.training_data.tokenization import Tokenization
from tests.fakes.tiny_tokenizer import CHATML, CHATML_WITH_MARKERS, write_tokenizer

pytestmark = pytest.mark.filterwarnings("ignore")

_MAX_LENGTH = 48
_QUESTIONS = [(f"Where is tool {number}, naïve 🙂?", f"It is in the barn {number}.") for number in range(12)]
_LONG = ("Where " * 60, "Nowhere.")  # its answer does not fit: trl leaves such rows out


def _messages(*texts: str, system: str = "") -> list[dict[str, str]]:
    roles = ("user", "assistant")
    said = [{"role": roles[number % 2], "content": text} for number, text in enumerate(texts)]
    return [{"role": "system", "content": system}, *said] if system else said


def _conversations() -> list[list[dict[str, str]]]:
    rows = [_messages(*pair) for pair in _QUESTIONS[:6]]
    rows += [_messages(*pair, "And who asks?", "Anna.", system="Be kind.") for pair in _QUESTIONS[6:]]
    return [*rows, _messages(*_LONG)]


def _asked_for(conversation: list[dict[str, str]], layout: str) -> dict[str, Any]:
    """Write a conversation in one of our layouts; the simple ones take the first exchange."""
    first = [message["content"] for message in conversation if message["role"] != "system"][:2]
    roles = {"system": "system", "user": "human", "assistant": "gpt"}
    return {
        "messages": {"messages": conversation},
        "sharegpt": {"conversations": [{"from": roles[m["role"]], "value": m["content"]} for m in conversation]},
        "alpaca": {"instruction": first[0], "input": "", "output": first[1]},
        "prompt_completion": {"prompt": first[0], "completion": first[1]},
        "columns": {"question": first[0], "answer": first[1]},
        "text": {"text": " ".join(first)},
    }[layout]


def _for_trl(conversation: list[dict[str, str]], layout: str, by_markers: bool) -> dict[str, Any]:
    """Write the same in trl's own form: by the template's markers, or as prompt and completion."""
    if layout == "text":
        return {"text": _asked_for(conversation, layout)["text"]}
    if layout not in ("messages", "sharegpt"):
        conversation = [message for message in conversation if message["role"] != "system"][:2]
    if by_markers:
        return {"messages": conversation}
    return {"prompt": conversation[:-1], "completion": conversation[-1:]}


@pytest.fixture(scope="module", params=["plain", "plain, begin token", "markers", "no markers"])
def model_folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    template = {"markers": CHATML_WITH_MARKERS, "no markers": CHATML}.get(request.param, "")
    return write_tokenizer(tmp_path_factory.mktemp("model"), template, adds_bos="begin" in request.param)


def _trainer(folder: Path, rows: list[dict[str, Any]], out: Path, **options: Any) -> SFTTrainer:
    tokenization = Tokenization(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.chat_template = tokenization.template.source
    set_seed(7)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=64,
            intermediate_size=64,
            num_hidden_layers=1,
            num_attention_heads=2,
            bos_token_id=0,
            eos_token_id=1,
            pad_token_id=1,
        )
    )
    config = SFTConfig(
        output_dir=str(out),
        max_length=_MAX_LENGTH,
        max_steps=5,
        per_device_train_batch_size=2,
        learning_rate=1e-2,
        report_to=[],
        use_cpu=True,
        bf16=False,
        save_strategy="no",
        disable_tqdm=True,
        seed=7,
        dataloader_pin_memory=False,
        **options,
    )
    adapter = LoraConfig(r=4, lora_alpha=8, target_modules="all-linear", task_type="CAUSAL_LM")
    return SFTTrainer(
        model=model, args=config, train_dataset=Dataset.from_list(rows), processing_class=tokenizer, peft_config=adapter
    )


def _our_rows(folder: Path, layout: str, conversations: list[Any], file: Path) -> list[dict[str, Any]]:
    file.write_text("".join(json.dumps(_asked_for(row, layout)) + "\n" for row in conversations), encoding="utf-8")
    tokenization = Tokenization(folder)
    examples = read_examples(file, layout)
    found = [tokenization.tokens(example, _MAX_LENGTH) for example in examples]
    return [{"input_ids": one.input_ids, "labels": one.labels} for one in found if one.trained_count]


def _adapter_hash(trainer: SFTTrainer) -> str:
    torch.manual_seed(7)
    trainer.train()
    digest = hashlib.sha256()
    for name, tensor in sorted(get_peft_model_state_dict(trainer.model).items()):
        digest.update(name.encode() + tensor.detach().numpy().tobytes())
    return digest.hexdigest()


@pytest.mark.parametrize("layout", ["messages", "sharegpt", "alpaca", "prompt_completion", "columns", "text"])
def test_tokens_and_labels_are_those_of_trl(model_folder: Path, layout: str, tmp_path: Path) -> None:
    by_markers = Tokenization(model_folder).template.has_markers
    conversations = _conversations()
    if not by_markers:  # trl's prompt and completion learns the last answer only
        conversations = [row for row in conversations if len(row) == 2]
    ours = _our_rows(model_folder, layout, conversations, tmp_path / "data.jsonl")
    theirs = _trainer(
        model_folder,
        [_for_trl(row, layout, by_markers) for row in conversations],
        tmp_path,
        assistant_only_loss=by_markers and layout != "text",
    ).train_dataset
    assert ours == [{"input_ids": row["input_ids"], "labels": row["labels"]} for row in theirs]
    assert len(ours) == len(conversations) - (layout != "text")
    assert any(-100 in row["labels"] for row in ours) == (layout != "text")


def test_training_on_our_tokens_gives_the_same_adapter(model_folder: Path, tmp_path: Path) -> None:
    by_markers = Tokenization(model_folder).template.has_markers
    conversations = [row for row in _conversations() if len(row) == 2]
    ours = _our_rows(model_folder, "messages", conversations, tmp_path / "data.jsonl")
    theirs = [_for_trl(row, "messages", by_markers) for row in conversations]
    first = _adapter_hash(_trainer(model_folder, ours, tmp_path / "ours"))
    assert first == _adapter_hash(_trainer(model_folder, theirs, tmp_path / "theirs", assistant_only_loss=by_markers))
    other = [{**row, "labels": row["input_ids"]} for row in ours][::-1]
    assert first != _adapter_hash(_trainer(model_folder, other, tmp_path / "other"))
