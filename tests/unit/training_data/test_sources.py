"""Several files and folders as one set of data: what is read, what is counted, what is never run."""

import json
import re
from pathlib import Path

import pytest

from desktop_app.domain.data_choice import DataChoice
from desktop_app.errors import DataError
from desktop_app.training_data.examples import bad_rows_sentence, examples_of
from desktop_app.training_data.report import data_report
from desktop_app.training_data.sources import data_files


def _rows(file: Path, count: int, bad: int = 0) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    rows = [json.dumps({"prompt": f"{file.name} {number}", "completion": "a"}) for number in range(count)]
    file.write_text("\n".join(rows + ["broken"] * bad) + "\n")
    return file


def test_a_folder_named_like_a_data_set_is_read_and_its_script_is_not_run(tmp_path: Path) -> None:
    folder = tmp_path / "squad"
    canary = tmp_path / "canary"
    _rows(folder / "data" / "train.jsonl", 3)
    _rows(folder / "more.jsonl", 2)
    for name in ("squad.py", "__init__.py", "data/train.py"):
        (folder / name).write_text(f"open({str(canary)!r}, 'w')\n")
    (folder / "README.md").write_text("# Notes\n")
    (folder / "dataset_info.json").write_text("{}")
    (folder / ".hidden.jsonl").write_text("x")
    (folder / "more.jsonl.edits").write_text("x")
    choice = DataChoice(paths=(str(folder),))
    assert [file.name for file in data_files(choice.paths)] == ["train.jsonl", "more.jsonl"]
    assert len(list(examples_of(choice))) == 5
    assert not canary.exists()
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="holds no data file"):
        data_files([tmp_path / "empty"])


def test_each_file_is_counted_and_named(tmp_path: Path) -> None:
    one, two = _rows(tmp_path / "one.jsonl", 3, bad=1), tmp_path / "two.json"
    two.write_text(json.dumps([{"instruction": "q", "input": "", "output": "a"}, {"instruction": "q"}]))
    report = data_report(DataChoice(paths=(str(one), str(two), str(one))))  # a file that is named twice counts once
    assert (report.rows, report.bad_row_count) == (4, 2)
    assert [(source.layout, source.rows, source.bad_rows) for source in report.sources] == [
        ("prompt_completion", 3, 1),
        ("alpaca", 1, 1),
    ]
    assert [(Path(bad.source).name, bad.line, bad.number) for bad in report.bad_rows] == [
        ("one.jsonl", 4, 4),
        ("two.json", 1, 2),
    ]
    assert dict(report.bad_reasons) == {"not JSON: Expecting value": 1, "has no column 'output'": 1}


def test_bad_rows_stop_or_are_skipped_up_to_a_number(tmp_path: Path) -> None:
    file = _rows(tmp_path / "a.jsonl", 3, bad=3)
    choice = DataChoice(paths=(str(file),))
    assert len(list(examples_of(choice.model_copy(update={"max_bad_rows": 3})))) == 3
    with pytest.raises(DataError, match=r"a\.jsonl, line 6 .* one more than the 2 allowed"):
        list(examples_of(choice.model_copy(update={"max_bad_rows": 2})))
    with pytest.raises(DataError, match=r"a\.jsonl, line 4 .*Expecting value"):
        list(examples_of(choice.model_copy(update={"bad_rows": "stop"})))


def test_what_was_left_out_is_said_with_its_place(tmp_path: Path) -> None:
    for bad, words in (
        (0, r"^$"),
        (1, r"^1 row cannot be used and is left out: line 4 \(byte offset \d+\): not JSON"),
        (2, r"^2 rows cannot be used and are left out: the first, line 4 "),
    ):
        examples = examples_of(DataChoice(paths=(str(_rows(tmp_path / f"{bad}.jsonl", 3, bad)),)))
        assert len(list(examples)) == 3
        assert re.search(words, bad_rows_sentence(examples))
