"""What the token view shows is what the trainer is given, token by token, over all batches of an epoch."""

from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

from desktop_app.domain.data_report import ShownToken
from desktop_app.domain.finetune_spec import FinetuneSpec
from desktop_app.training_data.examples import Examples, read_examples
from desktop_app.training_data.token_view import token_view
from desktop_app.training_data.tokenization import Tokenization
from desktop_app.workers.answer_rows import answers_tokenized
from desktop_app.workers.token_rows import tokenized
from desktop_app.workers.trainers import make_trainer
from tests.fakes.data_cases import LAYOUTS, LayoutCase, pairs
from tests.fakes.tiny_tokenizer import CHATML, CHATML_WITH_MARKERS, write_tokenizer

pytestmark = pytest.mark.filterwarnings("ignore")
_MAX_LENGTH = 56
# Tokens and whether each is trained; the first is never asked for and left out of account.
Row = tuple[tuple[int, bool], ...]
_TEMPLATES = {"plain": "", "comparing": CHATML, "marking": CHATML_WITH_MARKERS}
_COMPARING = {"preference": ("dpo", "reward"), "kto": ("kto",)}


def _each(cases: list[LayoutCase]) -> list[Any]:
    """Every layout with every template: each with one of them by day, with all of them at night."""
    return [
        pytest.param(
            template,
            case,
            id=f"{case.name}, {template}",
            marks=() if (number + turn) % len(_TEMPLATES) == 0 else pytest.mark.night,
        )
        for number, case in enumerate(cases)
        for turn, template in enumerate(_TEMPLATES)
    ]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {name: write_tokenizer(tmp_path_factory.mktemp("model"), source) for name, source in _TEMPLATES.items()}


def _trainer(folder: Path, rows: Any, out: Path, **options: Any) -> Any:
    torch.manual_seed(1)
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    special = {"vocab_size": 400, "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 1}
    model = LlamaForCausalLM(LlamaConfig(**special, **sizes))
    if options.get("objective") == "reward":
        from transformers import LlamaForSequenceClassification

        model = LlamaForSequenceClassification(LlamaConfig(num_labels=1, **special, **sizes))
    small = {"rank": 2, "batch_size": 4, "max_length": _MAX_LENGTH, "device": "cpu", "dropout": 0}
    spec = FinetuneSpec(model=str(folder), data="data", **small, **options)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    return make_trainer(spec, model, tokenizer, rows.table(), out, torch.float32, [])


def _row(ids: Any, trained: Any) -> Row:
    return tuple(zip(ids.tolist()[1:], trained.tolist()[1:], strict=True))


def _given(trainer: Any, objective: str = "sft") -> Iterator[Row]:
    """Take the batches of one epoch apart into rows."""
    for batch in trainer.get_train_dataloader():
        ids = batch["input_ids"]
        if "position_ids" in batch:  # packed: all rows end to end
            starts = [*torch.nonzero(batch["position_ids"][0] == 0).flatten().tolist(), ids.shape[1]]
            for start, end in pairwise(starts):
                yield _row(ids[0, start:end], batch["labels"][0, start:end] != -100)
            continue
        trained = batch["labels"] != -100 if "labels" in batch else batch.get("completion_mask", ids * 0) == 1
        for row, count in enumerate(batch["attention_mask"].sum(1).tolist()):
            yield _row(ids[row, :count], trained[row, :count])


def _shown_rows(folder: Path, examples: Examples, objective: Any = "sft") -> Iterator[Row]:
    """Take the token view of every row, without what is cut; rows without an answer are left out in training."""
    tokenization = Tokenization(folder)
    for example in examples:
        view = token_view(tokenization, example, _MAX_LENGTH, objective)
        for shown in filter(None, (view.tokens, view.rejected)):
            if example.is_text:
                for start, end in tokenization.parts(len(shown), _MAX_LENGTH):
                    yield _kept(shown[start:end])
            else:
                yield _kept(shown)


def _kept(tokens: tuple[ShownToken, ...]) -> Row:
    return tuple((token.id, token.is_trained) for token in tokens if not token.is_cut)[1:]


@pytest.mark.parametrize(("template", "case"), _each(LAYOUTS))
def test_supervised_training_gets_what_is_shown(
    folders: dict[str, Path], template: str, case: LayoutCase, tmp_path: Path
) -> None:
    folder = folders[template]
    file = tmp_path / case.file
    file.write_bytes(case.write(pairs(3, 8)))
    rows = tokenized(read_examples(file), Tokenization(folder), _MAX_LENGTH).rows
    shown = Counter(row for row in _shown_rows(folder, read_examples(file)) if any(trained for _, trained in row))
    assert Counter(_given(_trainer(folder, rows, tmp_path))) == shown
    assert Counter(_given(_trainer(folder, rows, tmp_path, packing=True))) == shown
    assert shown
    if case.name == "messages":
        assert {len(row) == _MAX_LENGTH - 1 for row in shown} == {True, False}  # some are cut


@pytest.mark.parametrize(("template", "case"), _each([case for case in LAYOUTS if case.layout in _COMPARING]))
def test_comparing_training_gets_what_is_shown(
    folders: dict[str, Path], template: str, case: LayoutCase, tmp_path: Path
) -> None:
    folder = folders[template]
    file = tmp_path / case.file
    file.write_bytes(case.write(pairs(3, 8)))
    for objective in _COMPARING[case.layout]:
        found = answers_tokenized(read_examples(file), Tokenization(folder), _MAX_LENGTH, objective)  # type: ignore[arg-type]
        given = Counter(_given(_trainer(folder, found.rows, tmp_path, objective=objective)))
        shown = list(_shown_rows(folder, read_examples(file), objective))
        if objective == "reward":  # it scores whole conversations and masks nothing
            shown = [tuple((token, False) for token, _ in row) for row in shown]
        assert given - Counter(shown) == Counter()
        assert given.total() == len(found.rows) * (1 if objective == "kto" else 2)
        assert given.total() > len(shown) // 2
