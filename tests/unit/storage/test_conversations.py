"""Conversations on the disk: a damaged one costs no other, rows are added to what a user's file holds."""

import json
from pathlib import Path

import pytest

from desktop_app.domain.conversation import Conversation, Round
from desktop_app.errors import StorageError
from desktop_app.storage.conversations import Conversations, append_rows, write_new


def test_conversations_are_kept_and_a_damaged_file_stays(tmp_path: Path) -> None:
    kept = Conversations(tmp_path / "chats")
    assert kept.all() == []
    old = Conversation(created=1.0, rounds=(Round(prompt="x" * 100),))
    new = Conversation(created=2.0)
    for each in (old, new):
        kept.keep(each)
    (tmp_path / "chats" / "broken.json").write_text("{")
    assert kept.all() == [new, old]
    assert old.title.endswith("…") and len(old.title) == 60
    kept.delete(new.id)
    kept.delete(new.id)
    assert kept.all() == [old]
    assert (tmp_path / "chats" / "broken.json").exists()


def test_rows_follow_a_last_line_without_an_end(tmp_path: Path) -> None:
    file = tmp_path / "new" / "rows.jsonl"
    append_rows(file, [{"a": "ü"}])
    file.write_bytes(file.read_bytes().rstrip(b"\n"))
    append_rows(file, [{"b": 2}, {"c": 3}])
    assert [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()] == [
        {"a": "ü"},
        {"b": 2},
        {"c": 3},
    ]


def test_what_cannot_be_written_is_told_and_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(StorageError, match="cannot be written"):
        Conversations(tmp_path / "file").keep(Conversation())
    with pytest.raises(StorageError, match="cannot be written"):
        append_rows(tmp_path / "file" / "rows.jsonl", [{}])
    with pytest.raises(StorageError, match="exists already"):
        write_new(tmp_path / "file", "other")
    assert (tmp_path / "file").read_text() == "mine"
