"""What is deleted is the model and nothing else; what somebody else keeps count of is refused in words."""

from pathlib import Path

import pytest

from desktop_app.errors import ModelError, StorageError
from desktop_app.library.model_removal import delete_places, places_of, rename_model, size_of
from desktop_app.paths import demo_model
from tests.fakes.model_files import add_to_ollama, gguf_bytes, write_llama


def test_a_folder_a_file_in_parts_and_a_cached_repository_are_removed_whole(tmp_path: Path) -> None:
    folder = write_llama(tmp_path / "m")
    parts = [tmp_path / f"x-0000{part}-of-00002.gguf" for part in (1, 2)]
    for part in (*parts, tmp_path / "other.gguf"):
        part.write_bytes(gguf_bytes())
    snapshot = write_llama(tmp_path / "hub" / "models--o--m" / "snapshots" / "abc")
    (tmp_path / "hub" / "models--o--m" / "blobs").mkdir()
    for path in (folder, parts[0], snapshot):
        places = places_of(path)
        assert size_of(places) > 0
        delete_places(places)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["hub", "other.gguf"]
    assert list((tmp_path / "hub").iterdir()) == []


def test_what_belongs_to_somebody_else_is_refused(tmp_path: Path, data_dir: Path) -> None:
    blob = add_to_ollama(tmp_path, "h/n/m/t", gguf_bytes())
    many = write_llama(tmp_path / "many")
    write_llama(many / "inner")
    result = write_llama(data_dir / "jobs" / "j" / "result")
    home = Path.home()
    for path, said in (
        (demo_model(), "comes with Whetstone"),
        (blob, "kept by Ollama"),
        (many, "holds other models too, such as inner"),
        (result, "result of a job"),
        (home, "holds much more than a model"),
        (data_dir.parent, "holds much more than a model"),
        (Path(home.anchor), "holds much more than a model"),
    ):
        with pytest.raises(ModelError, match=said) as caught:
            places_of(path)
        assert caught.value.hint
    assert many.is_dir() and result.is_dir()


def test_renaming_stays_in_place_and_overwrites_nothing(tmp_path: Path) -> None:
    folder = write_llama(tmp_path / "m")
    assert rename_model(folder, " new name ") == tmp_path / "new name"
    gguf = tmp_path / "x.gguf"
    gguf.write_bytes(gguf_bytes())
    assert rename_model(gguf, "y") == tmp_path / "y.gguf"
    (tmp_path / "taken.gguf").touch()
    with pytest.raises(StorageError, match="exists already"):
        rename_model(tmp_path / "y.gguf", "taken")
    for name in ("", "a/b", "..", ".hidden", "a\\b", "CON", "x" * 300, "dot."):
        with pytest.raises(ModelError, match="cannot be the name of a model"):
            rename_model(tmp_path / "new name", name)
    assert (tmp_path / "new name" / "config.json").is_file()
