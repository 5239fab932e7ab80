"""Every layout people's files come in, written here from a seed, read back turn by turn."""

import json
import random
from pathlib import Path
from typing import Any

import pytest

from desktop_app.domain.data_choice import DataChoice
from desktop_app.errors import DataError
from desktop_app.training_data.example import Example
from desktop_app.training_data.examples import read_examples
from desktop_app.training_data.report import data_report
from tests.fakes.damaged_files import BAD_ROWS, REFUSED
from tests.fakes.data_cases import LAYOUTS, LayoutCase, Said, document, pairs

_ROOT = Path(__file__).resolve().parents[3]
_WORDS = ["tree", "brücke", "日本", "red", "seven", "\u2028"]


def _jsonl(rows: list[Any]) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def _qa(found: list[tuple[str, str]]) -> list[dict[str, str]]:
    return [{"question": question, "answer": answer} for question, answer in found]


def _said(example: Example) -> Said:
    said: Said = [(turn.role, turn.calls or turn.text) for turn in example.turns]
    said += [("rejected", turn.text) for turn in example.rejected]
    return said + [("label", "good" if example.label else "bad")] * (example.label is not None)


@pytest.mark.parametrize("case", LAYOUTS, ids=lambda case: case.name)
@pytest.mark.parametrize("seed", [1, 2])
def test_every_layout_gives_the_turns_that_were_written(tmp_path: Path, case: LayoutCase, seed: int) -> None:
    file = tmp_path / case.file
    file.write_bytes(case.write(pairs(seed)))
    examples = read_examples(file)
    assert [_said(example) for example in examples] == [case.said(*pair) for pair in pairs(seed)]
    assert (examples.layout.name, examples.bad_row_count, examples.is_complete) == (case.layout, 0, True)
    assert examples.layout.evidence.endswith(".")


def test_the_documented_table_is_that_of_the_cases() -> None:
    assert (_ROOT / "docs" / "data_cases.md").read_text(encoding="utf-8") == document()
    assert len(LAYOUTS) >= 30
    assert sum(bool(case.after) for case in LAYOUTS) >= 10
    assert len(BAD_ROWS) + len(REFUSED) >= 40


def test_system_input_tools_and_tool_turns_are_read(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_bytes(
        _jsonl(
            [
                {
                    "system": "Be kind.",
                    "tools": '[{"name": "look"}]',
                    "conversations": [
                        {"from": "human", "value": "q"},
                        {"from": "function_call", "value": '{"name": "look"}'},
                        {"from": "observation", "value": "seen"},
                        {"from": "gpt", "value": "a"},
                    ],
                }
            ]
        )
    )
    [example] = read_examples(file)
    assert [turn.role for turn in example.turns] == ["system", "user", "assistant", "tool", "assistant"]
    assert json.loads(example.tools) == [{"name": "look"}]
    file.write_bytes(_jsonl([{"instruction": "Add.", "input": "1 2", "output": 3, "system": "s"}]))
    [example] = read_examples(file)
    assert [turn.text for turn in example.turns] == ["s", "Add.\n\n1 2", "3"]


def test_a_mapping_decides_over_detection(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_bytes(_jsonl([{"a": "1", "b": "2", "c": "3", "text": "4"}]))
    [example] = read_examples(file, "columns", {"prompt": "c", "completion": "a", "system": "b"})
    assert [turn.text for turn in example.turns] == ["2", "3", "1"]
    [example] = read_examples(file, columns={"text": "b"})
    assert [(turn.role, turn.text) for turn in example.turns] == [("text", "2")]
    with pytest.raises(DataError, match="no column 'z'"):
        read_examples(file, "columns", {"prompt": "z", "completion": "a"})
    with pytest.raises(DataError, match="names no columns to learn from"):
        read_examples(file, "columns", {"prompt": "a"})


def test_a_layout_that_is_asked_for_is_checked(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_bytes(_jsonl(_qa(pairs(1))))
    with pytest.raises(DataError, match="not laid out as alpaca; its columns are 'question', 'answer'"):
        read_examples(file, "alpaca")


def test_no_usable_column_is_refused_with_the_columns_found(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_bytes(b"eins,zwei,drei\n1,2,3\n")
    with pytest.raises(DataError, match="its columns are 'eins', 'zwei', 'drei'"):
        read_examples(file)


def test_plain_text_keeps_every_word_in_bounded_pieces(tmp_path: Path) -> None:
    rng = random.Random(5)
    paragraphs = [" ".join(rng.choices(_WORDS, k=rng.choice((5, 60, 3000)))) for _ in range(40)]
    file = tmp_path / "a.md"
    file.write_text("\n\n".join(paragraphs), encoding="utf-8", newline="\n")
    examples = list(read_examples(file))
    assert all(example.is_text and 0 < len(example.turns[0].text) <= 4000 for example in examples)
    assert [example.continues for example in examples] == [True] * (len(examples) - 1) + [False]
    assert " ".join(example.turns[0].text for example in examples).split() == " ".join(paragraphs).split()
    raw = file.read_bytes()
    for example in examples[1:]:
        line_start = raw.rfind(b"\n", 0, example.byte_offset) + 1
        assert (example.byte_offset, example.line) == (line_start, raw[:line_start].count(b"\n") + 1)


def test_the_report_counts_all_and_shows_the_first(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_bytes(_jsonl([*_qa(pairs(1, 500)), {"question": "q", "answer": ""}]))
    seen: list[tuple[int, int]] = []
    choice = DataChoice(paths=(str(file),))
    report = data_report(choice, progress=lambda done, total, **more: seen.append((done, total)))
    assert (report.rows, report.bad_row_count, report.complete) == (500, 1, True)
    assert (report.bad_rows[0].line, report.bad_rows[0].reason) == (501, "'answer' is empty")
    assert len(report.previews) == 20
    assert report.mapping == {"prompt": "question", "completion": "answer"}
    assert seen[-1] == (report.size_bytes, report.size_bytes)


def test_a_limit_leaves_the_report_incomplete(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_bytes(_jsonl(_qa(pairs(1, 50))))
    report = data_report(DataChoice(paths=(str(file),), max_rows=10))
    assert (report.rows, report.complete) == (10, False)
    assert data_report(DataChoice(paths=(str(file),), max_rows=50)).complete
    assert not data_report(DataChoice(paths=(str(file),)), limit_s=0).complete
