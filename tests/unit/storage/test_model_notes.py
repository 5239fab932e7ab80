"""The user's words about models survive a restart, a rename and a damaged file."""

from pathlib import Path

import pytest

from desktop_app.errors import StorageError
from desktop_app.storage.model_notes import ModelNote, ModelNotes


def test_words_are_tidied_kept_and_follow_a_model(tmp_path: Path) -> None:
    file = tmp_path / "data" / "model_notes.json"
    notes = ModelNotes.read(file)
    notes.set("/a", ["  for   work ", "", "for work", "x" * 99], "  from Anna\n")
    notes.set("/b", ["other"], "")
    notes.move("/a", "/c")
    notes.move("/nowhere", "/d")
    again = ModelNotes.read(file)
    assert again.notes == notes.notes
    assert again.of("/c") == ModelNote(tags=("for work", "x" * 40), note="from Anna")
    assert again.of("/a") == ModelNote()
    assert again.all_tags == ["for work", "other", "x" * 40]
    again.set("/b", [], "")
    assert "/b" not in ModelNotes.read(file).notes


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"/a": {"tags": "x"}}', b"\xff\xfe"])
def test_a_damaged_file_is_kept_aside(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "model_notes.json"
    file.write_bytes(content)
    assert ModelNotes.read(file).notes == {}
    kept = list(tmp_path.glob("model_notes.damaged-*.json"))
    assert [path.read_bytes() for path in kept] == [content]


def test_words_that_cannot_be_written_are_told_and_not_taken(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    notes = ModelNotes.read(tmp_path / "elsewhere.json")
    notes.file = tmp_path / "file" / "model_notes.json"
    with pytest.raises(StorageError, match="cannot be written"):
        notes.set("/a", ["x"], "")
    assert notes.notes == {}
