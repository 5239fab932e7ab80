"""Preferences fall back key by key, and no damage to their file stops a start or destroys a byte."""

import json
import os
import random
import stat
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from desktop_app.errors import StorageError
from desktop_app.settings import Settings, keep_good_copy, prepare_storage, read_stored, write_settings

GOOD = {
    "theme": "dark",
    "offline": True,
    "model_folders": ["/models", "/ü"],
    "window_size": [900, 700],
    "later": {"a": 1},
}


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NICEGUI_STORAGE_PATH", "")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "deep" / "settings"
    made.mkdir(parents=True)
    (made / "storage-general.json").write_text(json.dumps(GOOD), encoding="utf-8")
    return made


def test_defaults() -> None:
    settings = Settings({})
    assert settings.theme == "system"
    assert settings.offline is True
    assert settings.notifications is True
    assert settings.model_folders == []
    assert settings.window_place is None
    assert settings.window_size == (1280, 820)


def test_values_are_written_as_json_can_keep_them() -> None:
    values: dict[str, Any] = {}
    settings = Settings(values)
    settings.theme = "light"
    settings.window_size = (1000, 700)
    settings.window_place = (-5, 20)
    settings.model_folders = ["a", "b"]
    assert json.loads(json.dumps(values)) == values
    assert Settings(json.loads(json.dumps(values))).window_place == (-5, 20)
    settings.window_place = None
    assert "window_place" not in values


def test_a_list_must_be_assigned_to_change() -> None:
    settings = Settings({"data_files": ["a"]})
    settings.data_files.append("b")
    assert settings.data_files == ["a"]


@pytest.mark.parametrize(
    ("key", "value"),
    [("theme", "pink"), ("window_size", (1, 1)), ("window_size", (900.5, 700)), ("offline", 1), ("output_folder", 3)],
)
def test_a_bad_value_is_not_written(key: str, value: object) -> None:
    values = dict(GOOD)
    with pytest.raises(ValueError, match=key):
        setattr(Settings(values), key, value)
    assert values == GOOD


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
_names = [name for name in vars(Settings) if not name.startswith("_")]


@given(st.dictionaries(st.sampled_from(_names) | st.text(), _json))
def test_any_content_can_be_read(values: dict[str, Any]) -> None:
    before = json.dumps(values)
    settings = Settings(values)
    assert settings.theme in ("system", "light", "dark")
    assert isinstance(settings.offline, bool)
    assert isinstance(settings.notifications, bool)
    assert isinstance(settings.window_maximized, bool)
    assert all(isinstance(entry, str) for entry in [*settings.model_folders, *settings.data_files])
    assert isinstance(settings.output_folder, str)
    assert all(type(number) is int for number in [*settings.window_size, *(settings.window_place or ())])
    assert json.dumps(values) == before


def test_first_start_makes_a_private_folder_and_names_it_to_nicegui(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    assert prepare_storage(folder) == ""
    assert os.environ["NICEGUI_STORAGE_PATH"] == str(folder)
    if os.name != "nt":
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert list(folder.iterdir()) == []


def test_a_good_file_is_left_and_copied(folder: Path) -> None:
    (folder / "storage-general.json.tmp").write_text("half")
    before = (folder / "storage-general.json").read_bytes()
    assert prepare_storage(folder) == ""
    assert (folder / "storage-general.json").read_bytes() == before
    assert json.loads((folder / "storage-general.good.json").read_bytes()) == GOOD
    assert not list(folder.glob("*.tmp"))
    assert read_stored(folder).model_folders == ["/models", "/ü"]


def test_a_missing_file_is_restored(folder: Path) -> None:
    prepare_storage(folder)
    (folder / "storage-general.json").unlink()
    assert "missing" in prepare_storage(folder)
    assert read_stored(folder).theme == "dark"


def test_damage_without_a_good_copy_means_defaults(folder: Path) -> None:
    (folder / "storage-general.json").write_bytes(b"{")
    (folder / "storage-general.good.json").write_bytes(b"}")
    said = prepare_storage(folder)
    assert "defaults" in said
    assert Settings({}).theme == read_stored(folder).theme
    assert sorted(file.read_bytes() for file in folder.glob("*damaged*")) == [b"{", b"}"]


def _damaged(kind: str, whole: bytes, chance: random.Random) -> bytes:
    if kind == "truncated":
        return whole[: chance.randrange(1, len(whole))]
    if kind == "empty":
        return b" " * chance.randrange(3)
    if kind == "nul":
        return b"\0" * chance.randrange(1, 5000)
    if kind == "list":
        return json.dumps([GOOD] * chance.randrange(3)).encode()
    if kind == "utf16":
        return whole.decode().encode(chance.choice(["utf-16", "utf-16-le", "utf-16-be"]))
    if kind == "deep":
        depth = chance.randrange(300, 200_000)
        return b'{"a":' * depth + b"1" + b"}" * depth
    flipped = bytearray(whole)
    for _ in range(chance.randrange(1, 9)):
        flipped[chance.randrange(len(flipped))] = chance.randrange(256)
    return bytes(flipped)


KINDS = ["truncated", "empty", "nul", "list", "utf16", "deep", "random", "random"]


@pytest.mark.parametrize("seed", range(8))
def test_every_damage_is_survived_and_nothing_destroyed(folder: Path, seed: int) -> None:
    """25 mutated files per seed, 200 in all."""
    orjson = pytest.importorskip("orjson")  # what NiceGUI reads the file with
    chance = random.Random(seed)
    prepare_storage(folder)
    main = folder / "storage-general.json"
    whole = main.read_bytes()
    for number in range(25):
        main.write_bytes(whole)
        prepare_storage(folder)
        damaged = _damaged(KINDS[(number + seed) % len(KINDS)], whole, chance)
        main.write_bytes(damaged)
        said = prepare_storage(folder)
        read_back = orjson.loads(main.read_text(encoding="utf-8"))
        assert isinstance(read_back, dict)
        if said:
            assert read_back == GOOD
            assert damaged in {file.read_bytes() for file in folder.glob("*damaged*")}
        else:  # the mutation happens to be another good file
            assert main.read_bytes() == damaged
            orjson.dumps(read_back)


def test_an_important_change_is_in_both_files(folder: Path) -> None:
    write_settings(folder, {"offline": True})
    assert (folder / "storage-general.json").read_bytes() == (folder / "storage-general.good.json").read_bytes()
    keep_good_copy(folder, {"offline": False})
    assert read_stored(folder).offline is True


def test_a_file_that_was_written_late_does_not_bring_the_user_back_online(folder: Path) -> None:
    write_settings(folder, {"offline": True, "theme": "dark"})
    (folder / "storage-general.json").write_text('{"offline": false, "theme": "light"}')
    assert prepare_storage(folder) == ""
    assert (read_stored(folder).offline, read_stored(folder).theme) == (True, "light")


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_told_in_words(folder: Path) -> None:
    folder.parent.chmod(0o500)
    try:
        with pytest.raises(StorageError, match="settings"):
            prepare_storage(folder.parent / "other")
    finally:
        folder.parent.chmod(0o700)


def test_a_file_in_the_way_is_told_in_words(tmp_path: Path) -> None:
    (tmp_path / "settings").write_text("not a folder")
    with pytest.raises(StorageError, match="settings"):
        prepare_storage(tmp_path / "settings")
