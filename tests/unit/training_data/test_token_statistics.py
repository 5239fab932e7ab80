"""Lengths, cuts, padding, packing and steps, counted by another way beside."""

import json
import random
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest

from desktop_app.domain.data_choice import DataChoice, TokenChoice
from desktop_app.domain.data_report import TokenStatistics
from desktop_app.training_data.examples import read_examples
from desktop_app.training_data.report import data_report
from desktop_app.training_data.token_statistics import packed_blocks
from desktop_app.training_data.tokenization import NOT_TRAINED, Tokenization
from tests.fakes.data_cases import pairs
from tests.fakes.tiny_tokenizer import CHATML, write_tokenizer


def _statistics(file: Path, model: Path, **options: object) -> TokenStatistics:
    choice = TokenChoice.model_validate({"model": str(model), "max_length": 64, "batch_size": 3, **options})
    found = data_report(DataChoice(paths=(str(file),)), choice).statistics
    assert found is not None
    return found


@pytest.fixture
def file(tmp_path: Path) -> Path:
    rows = [
        {"prompt": question * (1 + n % 3), "completion": answer} for n, (question, answer) in enumerate(pairs(5, 50))
    ]
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.mark.parametrize("template", ["", CHATML])
def test_figures_are_those_of_the_rows(file: Path, tmp_path: Path, template: str) -> None:
    model = write_tokenizer(tmp_path / "model", template)
    tokenization = Tokenization(model)
    rows = [tokenization.tokens(example, 64) for example in read_examples(file)]
    kept = [row for row in rows if any(label != NOT_TRAINED for label in row.labels[1:])]
    lengths = [len(row.input_ids) for row in kept]
    found = _statistics(file, model, held_out=0.1, epochs=2, gradient_accumulation=2)
    assert (found.rows, found.tokens) == (50, sum(lengths))
    assert found.trained_tokens == sum(row.trained_count for row in kept)
    assert (found.cut_rows, found.cut_tokens) == (sum(row.cut > 0 for row in kept), sum(row.cut for row in kept))
    assert found.without_answer == 50 - len(kept)
    assert sum(count for _, count in found.histogram) == 50
    assert found.longest == max(len(row.input_ids) + row.cut for row in rows) <= found.histogram[-1][0]
    batches = [lengths[start : start + 3] for start in range(0, len(lengths), 3)]
    padded = sum(max(batch) * len(batch) for batch in batches)
    assert found.padding_share == pytest.approx(1 - sum(lengths) / padded)
    train = len(kept) - round(0.1 * len(kept))
    assert found.steps == 2 * -(-train // 6)
    assert not found.trained_is_estimate


def test_text_is_split_with_what_overlaps(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("one two three four five six seven " * 60)
    model = write_tokenizer(tmp_path / "model")
    whole, overlapping = _statistics(path, model), _statistics(path, model, stride=16)
    assert (whole.cut_rows, whole.without_answer) == (0, 0)
    assert whole.tokens == whole.trained_tokens == whole.longest
    tokenization = Tokenization(model, stride=16)
    parts = tokenization.parts(whole.longest, 64)
    assert parts[0] == (0, 64)
    assert {end - start for (_, end), (start, _) in pairwise(parts)} == {16}
    assert overlapping.tokens == sum(end - start for start, end in parts) > whole.tokens
    assert parts[-1][1] == whole.longest


def test_packing_is_best_fit_decreasing() -> None:
    rng = random.Random(3)
    for _ in range(60):
        block = rng.choice((8, 50, 512))
        lengths = [rng.randint(1, block) for _ in range(rng.randint(1, 300))]
        free: list[int] = []
        for length in sorted(lengths, reverse=True):
            fitting = [space for space in free if space >= length]
            if fitting:
                free.remove(min(fitting))
            free.append((min(fitting) if fitting else block) - length)
        assert packed_blocks(Counter(lengths), block) == len(free)


def test_a_large_file_says_that_the_share_is_an_estimate(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"prompt": "Where?", "completion": "In the barn."}\n' * 6000)
    found = _statistics(path, write_tokenizer(tmp_path / "model"))
    assert found.trained_is_estimate
    each = Tokenization(tmp_path / "model").tokens(next(iter(read_examples(path))), 64)
    assert (found.tokens, found.trained_tokens) == (6000 * len(each.input_ids), 6000 * each.trained_count)


def test_both_answers_of_a_pair_are_read_and_make_one_row_of_a_step(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    rows = [{"prompt": "Where?", "chosen": "In the barn.", "rejected": "Nobody knows it. " * n} for n in range(1, 13)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    found = _statistics(path, write_tokenizer(tmp_path / "model"), objective="dpo", max_length=999, batch_size=2)
    assert (found.rows, found.trained_rows) == (24, 24)
    assert found.steps == 2, "12 rows, 8 to a step"
    tokenization = Tokenization(tmp_path / "model")
    answers = [tokenization.answer_tokens(example) for example in read_examples(path)]
    lengths = [len(each.prompt_ids) + len(ids) for each in answers for ids in (each.answer_ids, each.rejected_ids)]
    assert (found.tokens, found.longest) == (sum(lengths), max(lengths))
