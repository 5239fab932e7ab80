"""One line says what a model or a data file is."""

import pytest

from desktop_app.domain.data_report import DataReport
from desktop_app.domain.model_facts import ModelFacts
from desktop_app.ui.summary import count_text, data_line, distinct_names, kind_text, model_line


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, ""), (999, "999"), (260_032, "260 k"), (1_543_714_304, "1.54 B"), (70_553_706_496, "70.6 B")],
)
def test_numbers_of_parameters(count: int, text: str) -> None:
    assert count_text(count) == text


def test_a_model_in_one_line() -> None:
    facts = ModelFacts(
        path="/m", name="m", parameters=1_543_714_304, dtype="bfloat16", size_bytes=3_087_428_608, context_length=32_768
    )
    assert model_line(facts) == "1.54 B parameters · bf16 · 3.1 GB · context 32,768"
    assert model_line(facts.model_copy(update={"quantization": "NF4"})).startswith("1.54 B parameters · NF4 ·")
    assert model_line(facts.model_copy(update={"problem": "m has no config.json."})) == "m has no config.json."
    assert kind_text(facts, "support") == "model, made here"


def test_paths_of_the_same_name_are_told_apart() -> None:
    names = {"/a/train.jsonl": "train.jsonl", "/b/train.jsonl": "train.jsonl", "/c/x.csv": "x.csv"}
    assert list(distinct_names(names).values()) == ["train.jsonl (a)", "train.jsonl (b)", "x.csv"]


def test_a_data_file_in_one_line() -> None:
    report = DataReport(path="/d.jsonl", format="jsonl", layout="messages", rows=4812, bad_row_count=3)
    assert data_line(report) == "4,812 rows · OpenAI messages · 3 bad rows left out"
    assert data_line(report.model_copy(update={"rows": 1, "bad_row_count": 0, "complete": False})) == (
        "more than 1 row · OpenAI messages"
    )
    assert data_line(report.model_copy(update={"problem": "d.jsonl is empty."})) == "d.jsonl is empty."
