"""The cache of facts forgets rather than fails."""

from pathlib import Path

import pytest

from desktop_app.storage.model_cache import ModelCache


def test_facts_and_checksums_are_kept_by_path(tmp_path: Path) -> None:
    file = tmp_path / "new" / "models.sqlite3"
    ModelCache(file).keep_facts({"/a": ("stamp", "{}"), "/b": ("other", '{"x": 1}')})
    ModelCache(file).keep_checksums("/a", {"x": "1", "y": "2"}, 5.0)
    ModelCache(file).keep_checksums("/a", {"x": "3"}, 7.0)
    again = ModelCache(file)
    assert again.facts(["/b", "/c", *(f"/{number}" for number in range(1200))]) == {"/b": ("other", '{"x": 1}')}
    assert again.checksums("/a") == ({"x": "3"}, 7.0)
    assert again.checksums("/b") == ({}, 0.0)


@pytest.mark.parametrize("content", [b"", b"no database" * 1000, b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_damaged_file_is_begun_anew(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "models.sqlite3"
    file.write_bytes(content)
    cache = ModelCache(file)
    assert cache.facts(["/a"]) == {}
    cache.keep_facts({"/a": ("stamp", "{}")})
    assert cache.facts(["/a"]) == {"/a": ("stamp", "{}")}


def test_where_nothing_can_be_written_there_is_nothing_cached(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    cache = ModelCache(tmp_path / "file" / "models.sqlite3")
    cache.keep_facts({"/a": ("stamp", "{}")})
    assert cache.facts(["/a"]) == {}
