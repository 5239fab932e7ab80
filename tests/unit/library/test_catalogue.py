"""Models are found wherever they lie, each once, and nothing leads the search astray."""

import os
from pathlib import Path

import pytest

from desktop_app.library.catalogue import find_model_folders, hub_cache_dirs
from tests.fakes.model_files import write_adapter, write_json, write_llama, write_sharded_llama


def _found(*roots: Path) -> list[Path]:
    return list(find_model_folders(roots))


def test_models_adapters_and_gguf_files_are_found_and_others_not(tmp_path: Path) -> None:
    plain = write_llama(tmp_path / "a" / "plain")
    sharded = write_sharded_llama(tmp_path / "a" / "b" / "sharded")
    adapter = write_adapter(tmp_path / "adapter", str(plain))
    (tmp_path / "gguf").mkdir()
    gguf = tmp_path / "gguf" / "x.gguf"
    gguf.touch()
    pickled = tmp_path / "pickled"  # shown with the reason why it cannot be used
    pickled.mkdir()
    write_json(pickled / "config.json", {})
    (pickled / "pytorch_model.bin").touch()
    (tmp_path / "web").mkdir()
    write_json(tmp_path / "web" / "config.json", {"port": 80})
    write_llama(tmp_path / ".hidden")
    write_llama(tmp_path / "node_modules" / "m")
    seen: list[Path] = []
    assert sorted(find_model_folders([tmp_path], seen.append)) == sorted([adapter, gguf, pickled, plain, sharded])
    assert tmp_path / "web" in seen
    assert _found(plain, tmp_path / "a") == [plain, sharded]  # overlapping roots: each model once
    assert _found(tmp_path / "nothing", gguf) == []


def test_what_lies_too_deep_is_not_looked_for(tmp_path: Path) -> None:
    deep = tmp_path / "1/2/3/4/5/6"
    write_llama(deep / "seven")
    write_llama(deep.parent / "six")
    assert _found(tmp_path) == [deep.parent / "six"]


@pytest.mark.skipif(os.name == "nt", reason="links need rights on Windows")
def test_links_are_not_followed_in_circles(tmp_path: Path) -> None:
    model = write_llama(tmp_path / "m")
    (tmp_path / "again").symlink_to(tmp_path)
    assert _found(tmp_path) == [model]


def test_of_a_hugging_face_cache_the_current_revision_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repository = tmp_path / "hub" / "models--owner--lamb"
    for revision in ("old", "new"):
        write_llama(repository / "snapshots" / revision)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("new")
    write_llama(tmp_path / "hub" / "datasets--owner--rows")
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    assert hub_cache_dirs() == [tmp_path / "hub"]
    assert _found(*hub_cache_dirs()) == [repository / "snapshots" / "new"]
    (repository / "refs" / "main").write_text("../../../escape")
    assert [path.parent for path in _found(*hub_cache_dirs())] == [repository / "snapshots"]
