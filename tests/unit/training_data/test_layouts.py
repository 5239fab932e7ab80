"""Every layout people's files come in, written here from a seed, read back turn by turn."""

import csv
import io
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from desktop_app.domain.data_choice import DataChoice
from desktop_app.errors import DataError
from desktop_app.training_data.examples import read_examples
from desktop_app.training_data.report import data_report

Pair = tuple[str, str]
_WORDS = [
    "tree",
    "brücke",
    "日本",
    "red",
    "seven",
    "\u2028",
    'say "so"',
    "a,b",
    "x;y",
    "line\nbreak",
    "🙂",
    "tab\there",
]


def _pairs(seed: int, count: int = 30) -> list[Pair]:
    rng = random.Random(seed)
    return [
        (f"q{number} " + " ".join(rng.choices(_WORDS, k=4)) + "?", " ".join(rng.choices(_WORDS, k=5)) + f" a{number}")
        for number in range(count)
    ]


def _jsonl(rows: list[Any], end: str = "\n", last: str = "\n") -> bytes:
    return (end.join(json.dumps(row, ensure_ascii=False) for row in rows) + last).encode()


def _csv(rows: list[dict[str, str]], delimiter: str = ",") -> bytes:
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]), delimiter=delimiter, lineterminator="\r\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().encode()


def _parquet(rows: list[Any]) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), out, row_group_size=7)
    return out.getvalue()


def _messages(question: str, answer: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]}


def _sharegpt(question: str, answer: str) -> dict[str, Any]:
    return {"conversations": [{"from": "human", "value": question}, {"from": "gpt", "value": answer}]}


def _blocks(question: str, answer: str) -> dict[str, Any]:
    return {
        "messages": [
            {
                "role": "user",
                "content": [{"type": "text", "text": question[:3]}, {"type": "text", "text": question[3:]}],
            },
            {"role": "assistant", "content": [{"type": "text", "text": answer}]},
        ]
    }


def _named(question: str, answer: str) -> Callable[[list[Pair]], list[dict[str, str]]]:
    return lambda pairs: [{question: one, answer: two} for one, two in pairs]


_qa = _named("question", "answer")
_LAYOUTS: dict[str, tuple[str, str, Callable[[list[Pair]], bytes]]] = {
    "messages": ("a.jsonl", "messages", lambda p: _jsonl([_messages(*x) for x in p])),
    "messages in blocks": ("a.jsonl", "messages", lambda p: _jsonl([_blocks(*x) for x in p])),
    "messages in conversations": (
        "a.jsonl",
        "messages",
        lambda p: _jsonl([{"conversations": _messages(*x)["messages"], "id": "7"} for x in p]),
    ),
    "messages in Parquet": ("a.parquet", "messages", lambda p: _parquet([_messages(*x) for x in p])),
    "sharegpt": ("a.json", "sharegpt", lambda p: json.dumps([_sharegpt(*x) for x in p]).encode()),
    "sharegpt, lines in a .json": ("a.json", "sharegpt", lambda p: _jsonl([_sharegpt(*x) for x in p])),
    "preference pairs": (
        "a.json",
        "preference",
        lambda p: json.dumps(
            [
                {
                    "conversations": [{"from": "human", "value": one}],
                    "chosen": {"from": "gpt", "value": two},
                    "rejected": {"from": "gpt", "value": "no"},
                }
                for one, two in p
            ]
        ).encode(),
    ),
    "prompt, chosen, rejected": (
        "a.jsonl",
        "preference",
        lambda p: _jsonl([{"prompt": one, "chosen": two, "rejected": "no"} for one, two in p]),
    ),
    "alpaca": (
        "a.json",
        "alpaca",
        lambda p: json.dumps(
            [{"instruction": one, "input": "", "output": two} for one, two in p], indent=2, ensure_ascii=False
        ).encode(),
    ),
    "alpaca under data": (
        "a.json",
        "alpaca",
        lambda p: json.dumps(
            {"version": "1", "data": [{"instruction": one, "output": two} for one, two in p], "count": 3}
        ).encode(),
    ),
    "prompt and completion": ("a.jsonl", "prompt_completion", lambda p: _jsonl(_named("prompt", "completion")(p))),
    "prompt and response": ("a.parquet", "prompt_completion", lambda p: _parquet(_named("prompt", "response")(p))),
    "prompt and completion as turns": (
        "a.jsonl",
        "prompt_completion",
        lambda p: _jsonl(
            [{"prompt": m["messages"][:1], "completion": m["messages"][1:]} for m in (_messages(*x) for x in p)]
        ),
    ),
    "question and answer": ("a.jsonl", "columns", lambda p: _jsonl(_qa(p))),
    "CRLF": ("a.jsonl", "columns", lambda p: _jsonl(_qa(p), end="\r\n")),
    "CR": ("a.jsonl", "columns", lambda p: _jsonl(_qa(p), end="\r", last="\r")),
    "no final newline, blank lines": ("a.jsonl", "columns", lambda p: _jsonl(_qa(p), end="\n\n", last="")),
    "byte order mark": ("a.jsonl", "columns", lambda p: b"\xef\xbb\xbf" + _jsonl(_qa(p))),
    "byte order mark, JSON": ("a.json", "columns", lambda p: b"\xef\xbb\xbf" + json.dumps(_qa(p)).encode()),
    "a list in a .jsonl": ("a.jsonl", "columns", lambda p: json.dumps(_qa(p)).encode()),
    "CSV": ("a.csv", "columns", lambda p: _csv(_qa(p))),
    "CSV with semicolons": ("a.csv", "columns", lambda p: _csv(_qa(p), ";")),
    "CSV with tabs": ("a.csv", "columns", lambda p: _csv(_qa(p), "\t")),
    "TSV": ("a.tsv", "columns", lambda p: _csv(_named("Question ", "ANSWER")(p), "\t")),
    "two columns of any name": ("a.csv", "columns", lambda p: _csv(_named("frage", "antwort")(p))),
}


@pytest.mark.parametrize("case", _LAYOUTS)
@pytest.mark.parametrize("seed", [1, 2])
def test_every_layout_gives_the_same_turns(tmp_path: Path, case: str, seed: int) -> None:
    name, layout, write = _LAYOUTS[case]
    pairs = _pairs(seed)
    file = tmp_path / name
    file.write_bytes(write(pairs))
    examples = read_examples(file)
    read = [tuple((turn.role, turn.text) for turn in example.turns) for example in examples]
    # A CSV writer may not keep a lone \r\n inside; our words have none, so texts are the same in every format.
    assert read == [(("user", one), ("assistant", two)) for one, two in pairs]
    assert (examples.layout.name, examples.bad_row_count, examples.is_complete) == (layout, 0, True)


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
    file.write_bytes(_jsonl(_qa(_pairs(1))))
    with pytest.raises(DataError, match="not laid out as alpaca; its columns are 'question', 'answer'"):
        read_examples(file, "alpaca")


def test_no_usable_column_is_refused_with_the_columns_found(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_bytes(_csv([{"eins": "1", "zwei": "2", "drei": "3"}]))
    with pytest.raises(DataError, match="its columns are 'eins', 'zwei', 'drei'"):
        read_examples(file)


def test_plain_text_keeps_every_word_in_bounded_pieces(tmp_path: Path) -> None:
    rng = random.Random(5)
    paragraphs = [" ".join(rng.choices(_WORDS[:6], k=rng.choice((5, 60, 3000)))) for _ in range(40)]
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
    file.write_bytes(_jsonl([*_qa(_pairs(1, 500)), {"question": "q", "answer": ""}]))
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
    file.write_bytes(_jsonl(_qa(_pairs(1, 50))))
    report = data_report(DataChoice(paths=(str(file),), max_rows=10))
    assert (report.rows, report.complete) == (10, False)
    assert data_report(DataChoice(paths=(str(file),), max_rows=50)).complete
    assert not data_report(DataChoice(paths=(str(file),)), limit_s=0).complete
