"""Input that `datasets` takes in silence or refuses without naming the place: here it is read rightly, or named."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import pytest

from desktop_app.errors import DataError
from desktop_app.training_data.examples import read_examples

pytestmark = pytest.mark.filterwarnings("ignore")
_QA = {"question": "q", "answer": "a"}
_GOOD = json.dumps(_QA) + "\n"


def _theirs(file: Path, kind: str) -> Any:
    """Load a file as most scripts do, without a cache of an earlier one."""
    return datasets.load_dataset(kind, data_files=str(file), split="train", cache_dir=str(file.parent / "cache"))


def _ours(file: Path) -> tuple[list[list[str]], list[str]]:
    """Return the texts of all rows, and the bad rows as they are told."""
    examples = read_examples(file)
    texts = [[turn.text for turn in example.turns] for example in examples]
    return texts, [f"line {bad.line}, byte {bad.byte_offset}: {bad.reason}" for bad in examples.bad_rows]


def _written(folder: Path, name: str, content: str | bytes) -> Path:
    file = folder / name
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return file


def test_an_empty_field_of_csv_is_none_there_and_named_here(tmp_path: Path) -> None:
    file = _written(tmp_path, "a.csv", "question,answer\nq,a\nr,\n")
    assert _theirs(file, "csv")["answer"][1] is None
    assert _ours(file) == ([["q", "a"]], ["line 3, byte 20: 'answer' is empty"])


def test_a_text_is_a_row_per_line_there_and_whole_paragraphs_here(tmp_path: Path) -> None:
    file = _written(tmp_path, "a.txt", "one\ntwo\n\nthree\n")
    assert len(_theirs(file, "text")) == 4
    assert _ours(file) == ([["one\ntwo\n\nthree"]], [])


def test_rows_under_a_key_are_one_row_there_and_rows_here(tmp_path: Path) -> None:
    file = _written(tmp_path, "a.json", json.dumps({"version": "1", "data": [_QA, _QA]}))
    assert len(_theirs(file, "json")) == 1
    assert _ours(file) == ([["q", "a"]] * 2, [])


def test_mixed_types_are_taken_there_and_named_here(tmp_path: Path) -> None:
    rows = [_QA, {"question": "q", "answer": 3}, {"question": "q", "answer": {"x": 1}}]
    file = _written(tmp_path, "a.jsonl", "\n".join(map(json.dumps, rows)))
    assert len(_theirs(file, "json")) == 3
    texts, bad = _ours(file)
    assert texts == [["q", "a"], ["q", "3"]]
    assert bad == ["line 3, byte 64: 'answer' holds an object, not text"]


def test_a_renamed_key_is_filled_with_none_there_and_named_here(tmp_path: Path) -> None:
    file = _written(tmp_path, "a.jsonl", _GOOD + '{"question": "q", "reply": "a"}\n')
    assert _theirs(file, "json")["answer"][1] is None
    assert _ours(file) == ([["q", "a"]], ["line 2, byte 33: has no column 'answer'"])


def test_a_list_of_numbers_is_a_column_there_and_refused_here(tmp_path: Path) -> None:
    file = _written(tmp_path, "a.json", "[1, 2, 3]")
    assert len(_theirs(file, "json")) == 3
    with pytest.raises(DataError, match=r"line 1 .*holds 1, not an object"):
        _ours(file)


def test_semicolons_are_one_column_there_and_found_here(tmp_path: Path) -> None:
    file = _written(tmp_path, "a.csv", "question;answer\nq;a\n")
    assert _theirs(file, "csv").column_names == ["question;answer"]
    assert _ours(file) == ([["q", "a"]], [])


def test_latin_1_fails_there_when_the_row_is_used_and_is_named_here(tmp_path: Path) -> None:
    bad = '{"question": "é", "answer": "a"}\n'.encode("latin-1")
    file = _written(tmp_path, "a.jsonl", _GOOD.encode() + bad)
    rows = _theirs(file, "json")
    assert len(rows) == 2
    with pytest.raises(UnicodeDecodeError):
        rows.to_list()
    texts, said = _ours(file)
    assert (len(texts), said[0].partition(" (")[0]) == (1, "line 2, byte 33: byte 0xE9 at byte offset 47 is not UTF-8")


_NAMED_HERE: dict[str, tuple[str, str, str | bytes, str]] = {
    "a bad line": ("a.jsonl", "json", _GOOD + "{broken\n" + _GOOD, "line 2 .byte offset 33.: not JSON"),
    "a trailing comma": ("a.json", "json", f"[{json.dumps(_QA)},\n]", "line 2 .byte offset 35.: a row is missing"),
    "UTF-16": ("a.jsonl", "json", _GOOD.encode("utf-16"), "written in UTF-16"),
    "an empty file": ("a.jsonl", "json", "", "is empty"),
    "an empty list": ("a.json", "json", "[]", "holds no rows"),
    "a field too many": ("a.csv", "csv", "question,answer\nq,a\nq,a,b\n", "line 3 .* has 3 fields"),
    "an open quote": ("a.csv", "csv", 'question,answer\nq,a\n"q,a\n', "line 3 .* never closed"),
    "no Parquet": ("a.parquet", "parquet", b"PAR1" + b"x" * 100, "cannot be read as Parquet"),
}


@pytest.mark.parametrize("case", _NAMED_HERE)
def test_what_fails_there_without_the_place_is_named_here(tmp_path: Path, case: str) -> None:
    name, kind, content, message = _NAMED_HERE[case]
    file = _written(tmp_path, name, content)
    with pytest.raises(Exception) as theirs:
        _theirs(file, kind)
    assert not isinstance(theirs.value, DataError)
    with pytest.raises(DataError, match=message):
        list(read_examples(file, bad_rows="stop"))


def test_a_changed_file_is_read_anew(tmp_path: Path) -> None:
    file = _written(tmp_path, "a.jsonl", _GOOD)
    examples = read_examples(file)
    assert len(list(examples)) == 1
    file.write_text(_GOOD * 2)
    assert len(list(examples)) == 2


@pytest.mark.night
@pytest.mark.parametrize("change", [lambda row: {**row, "answer": 7}, lambda row: {"question": "q", "answer": []}])
def test_another_type_in_a_late_row_spoils_no_other(tmp_path: Path, change: Callable[[Any], Any]) -> None:
    file = _written(tmp_path, "a.jsonl", _GOOD * 300_000 + json.dumps(change(_QA)) + "\n")
    examples = read_examples(file)
    assert sum(1 for _ in examples) + examples.bad_row_count == 300_001
    assert all(bad.line == 300_001 for bad in examples.bad_rows)
