"""What the report says about rows that can be read and should not be trained on as they are, and how it is mended."""

import json
from pathlib import Path
from typing import Any

import pytest

from desktop_app.domain.data_choice import DataChoice, RowEdit, TokenChoice
from desktop_app.domain.data_report import DataReport, Finding
from desktop_app.errors import DataError, StorageError
from desktop_app.training_data.examples import examples_of
from desktop_app.training_data.mending import edits_for
from desktop_app.training_data.overlay import Overlay, overlay_path, read_overlay, write_overlay
from desktop_app.training_data.report import data_report
from tests.fakes.tiny_tokenizer import CHATML, write_tokenizer


def _write(file: Path, rows: list[Any]) -> DataChoice:
    file.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return DataChoice(paths=(str(file),))


def _qa(number: int, answer: str = "") -> dict[str, str]:
    return {"prompt": f"What is {number}?", "completion": answer or f"It is {number}."}


def _found(report: DataReport) -> dict[str, Finding]:
    return {finding.code: finding for finding in report.findings}


def _mended(data: DataChoice, code: str, evaluation: str = "") -> DataChoice:
    """Do what the button of a finding does."""
    path = overlay_path(Path(data.paths[0]))
    overlay = read_overlay(path) if path.is_file() else Overlay()
    overlay.apply(edits_for(data, code, evaluation), path.parent)  # type: ignore[arg-type]
    return data.model_copy(update={"overlay": write_overlay(path, overlay).path})


def test_sound_rows_give_no_finding(tmp_path: Path) -> None:
    data = _write(tmp_path / "a.jsonl", [_qa(number) for number in range(50)])
    assert data_report(data).findings == ()


_MOJIBAKE = "Grüße – naïve café".encode().decode("cp1252")


@pytest.mark.parametrize(
    ("code", "rows", "count", "numbers"),
    [
        ("duplicates", [_qa(1), _qa(2), _qa(1), _qa(3), _qa(1)], 2, [3, 5]),
        ("empty_answers", [_qa(1), {"prompt": "q", "completion": " "}, _qa(2)], 1, [2]),
        ("mojibake", [_qa(1), _qa(2, _MOJIBAKE)], 1, [2]),
        ("template_tokens", [_qa(1), _qa(2, "Yes<|im_end|>"), _qa(3, "[INST] no [/INST]")], 2, [2, 3]),
    ],
)
def test_what_can_be_mended_is_found_and_gone_afterwards(
    tmp_path: Path, code: str, rows: list[Any], count: int, numbers: list[int]
) -> None:
    data = _write(tmp_path / "a.jsonl", rows)
    before = Path(data.paths[0]).read_bytes()
    finding = _found(data_report(data))[code]
    assert (finding.count, [row.number for row in finding.examples]) == (count, numbers)
    assert finding.fix is not None and finding.fix.rows == count
    mended = data_report(_mended(data, code))
    assert code not in _found(mended)
    assert mended.left_out + mended.changed == count
    assert Path(data.paths[0]).read_bytes() == before


def _misread(text: str) -> str:
    """Read UTF-8 as Windows-1252, as many programs do: bytes without a meaning become the character of that number."""
    return "".join(
        chr(b) if b in (0x81, 0x8D, 0x8F, 0x90, 0x9D) else bytes([b]).decode("cp1252") for b in text.encode()
    )


def test_mended_texts_are_what_they_were(tmp_path: Path) -> None:
    texts = ["Grüße – naïve café", "“quoted”", "日本語", "Привет, как дела?", "🙂🙂", "plain"]
    meant = ["Gruß“ und Maß“", "À\u00a0la carte", "„Ä“ „Ö“", "naïve Grüße 日本語"]
    mixed = ["Ãœber allem: naïve"]  # what it was cannot be told
    rows = [_qa(number, text) for number, text in enumerate([*map(_misread, texts), *meant, *mixed])]
    data = _write(tmp_path / "a.jsonl", rows)
    assert _found(data_report(data))["mojibake"].count == 6
    assert [example.turns[1].text for example in examples_of(_mended(data, "mojibake"))] == texts + meant + mixed


def test_rows_that_the_evaluation_asks_too_are_found_and_left_out(tmp_path: Path) -> None:
    data = _write(tmp_path / "a.jsonl", [_qa(number) for number in range(20)])
    held_out = _write(tmp_path / "held_out.jsonl", [_qa(3, "Three."), _qa(99), _qa(7)])
    finding = _found(data_report(data, evaluation=held_out.paths[0]))["overlap"]
    assert (finding.count, finding.severity, [row.line for row in finding.examples]) == (2, "problem", [4, 8])
    mended = _mended(data, "overlap", held_out.paths[0])
    assert data_report(mended, evaluation=held_out.paths[0]).rows == 18


def test_what_can_only_be_told_is_told(tmp_path: Path) -> None:
    rows: list[Any] = [_qa(number, "I do not know, and I would rather talk about the weather.") for number in range(12)]
    rows += [_qa(20, "Write to anna.smith@mill.org"), _qa(21, "my key is sk-" + "a1B2" * 8)]
    found = _found(data_report(_write(tmp_path / "a.jsonl", rows)))
    assert (found["same_answer"].count, found["same_answer"].severity) == (12, "warning")
    assert "I do not know" in found["same_answer"].message
    assert [row.number for row in found["personal_data"].examples] == [13, 14]
    assert "(a key or an e-mail address)" in found["personal_data"].message
    assert all(found[code].fix is None for code in ("same_answer", "personal_data"))
    with pytest.raises(DataError, match="no safe fix for same answer"):
        edits_for(DataChoice(paths=(str(tmp_path / "a.jsonl"),)), "same_answer")


def test_odd_names_of_speakers_are_told(tmp_path: Path) -> None:
    def talk(*turns: tuple[str, str]) -> dict[str, Any]:
        return {"messages": [{"role": role, "content": text} for role, text in turns]}

    rows = [talk(("user", "a"), ("assistant", "b")), talk(("human", "c"), ("gpt", "d")), talk(("king", "e"))]
    found = _found(data_report(_write(tmp_path / "a.jsonl", rows)))
    assert [row.line for row in found["unknown_roles"].examples] == [3]
    assert "human/gpt" in found["two_naming_schemes"].message
    assert [row.line for row in found["two_naming_schemes"].examples] == [1, 2]


def test_edits_stay_beside_the_file_and_are_refused_when_it_changes(tmp_path: Path) -> None:
    data = _write(tmp_path / "a.jsonl", [_qa(number) for number in range(5)] + [{"prompt": "bad"}])
    file, path = Path(data.paths[0]), overlay_path(Path(data.paths[0]))
    said = {"messages": [{"role": "user", "content": "u\u2028v"}, {"role": "assistant", "content": "b"}]}
    asked, answer = said["messages"][:1], said["messages"][1:]
    overlay = Overlay()
    edits = [
        RowEdit(action="change", source=str(file), number=6, row=said),
        RowEdit(action="leave_out", source=str(file), number=2),
        RowEdit(action="leave_out", source=str(file), number=3),
        RowEdit(action="add", row=said),
        RowEdit(action="add", row={"prompt": asked, "chosen": answer, "rejected": answer}),
    ]
    overlay.apply(edits, tmp_path)
    summary = write_overlay(path, overlay)
    assert (summary.changed, summary.left_out, summary.added) == (1, 2, 2)
    edited = data.model_copy(update={"overlay": summary.path})
    examples = examples_of(edited)
    assert [example.number for example in examples] == [1, 4, 5, 6, 1]
    assert [example.turns[0].text for example in examples][-2:] == ["u\u2028v", "u\u2028v"]
    assert examples.bad_row_count == 1  # the added pair has equal answers
    moved = tmp_path / "moved"
    moved.mkdir()
    for one in (file, path):
        (moved / one.name).write_bytes(one.read_bytes())
    both = DataChoice(paths=(str(moved / file.name),), overlay=str(moved / path.name))
    assert len(list(examples_of(both))) == 5
    file.write_bytes(file.read_bytes() + b"\n")
    with pytest.raises(DataError, match="has changed since its rows were edited"):
        list(examples_of(edited))


def test_taking_every_edit_back_removes_the_overlay(tmp_path: Path) -> None:
    data = _write(tmp_path / "a.jsonl", [_qa(1), _qa(1)])
    edited = _mended(data, "duplicates")
    overlay = read_overlay(Path(edited.overlay))
    overlay.apply([RowEdit(action="restore", source=data.paths[0], number=2)], tmp_path)
    assert write_overlay(Path(edited.overlay), overlay).path == ""
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.jsonl"]
    with pytest.raises(DataError, match="cannot be read"):
        read_overlay(tmp_path / "a.jsonl")
    with pytest.raises(StorageError, match="cannot be kept beside the data"):
        overlay.apply([RowEdit(action="add", row={"text": "a"})], tmp_path)
        write_overlay(tmp_path / "none" / "a.edits", overlay)


_NO_END = (
    "{% for message in messages %}{{ message['role'] + ': ' }}{% if message['role'] == 'assistant' %}"
    "{% generation %}{{ message['content'] }}{% endgeneration %}{% else %}{{ message['content'] }}{% endif %}"
    "{{ '\\n' }}{% endfor %}"
)


def test_answers_that_nothing_ends_and_answers_that_are_cut_away_are_told(tmp_path: Path) -> None:
    data = _write(
        tmp_path / "a.jsonl", [*(_qa(number) for number in range(8)), {"prompt": "why " * 200, "completion": "yes"}]
    )
    for name, source, codes in (
        ("endless", _NO_END, {"no_end_of_turn": 8, "answer_cut_away": 1}),
        ("ending", CHATML, {"answer_cut_away": 1}),
    ):
        tokens = TokenChoice(model=str(write_tokenizer(tmp_path / name, source)), max_length=128)
        found = _found(data_report(data, tokens))
        assert {code: finding.count for code, finding in found.items()} == codes
    assert found["answer_cut_away"].message.startswith("1 row is left out in training")
