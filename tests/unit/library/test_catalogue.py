"""Models are found wherever they lie, each once, and nothing leads the search astray."""

import os
from pathlib import Path

import pytest

from desktop_app.library.catalogue import find_models
from desktop_app.library.model_stores import model_stores
from tests.fakes.model_files import (
    add_to_ollama,
    ollama_manifest,
    write_adapter,
    write_json,
    write_llama,
    write_sharded_llama,
)


def _found(*roots: Path) -> list[Path]:
    return [found.path for found in find_models(roots) if found is not None]


def _stores() -> list[Path]:
    return [store.folder for store in model_stores()]


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
    for part in (1, 2):
        (tmp_path / "gguf" / f"split-0000{part}-of-00002.gguf").touch()
    split = tmp_path / "gguf" / "split-00001-of-00002.gguf"
    seen: dict[Path, int] = {}
    models = [found.path for found in find_models([tmp_path], seen) if found is not None]
    assert sorted(models) == sorted([adapter, gguf, split, pickled, plain, sharded])
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
    _empty_home(tmp_path, monkeypatch)
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    assert _stores() == [tmp_path / "hub"]
    assert _found(*_stores()) == [repository / "snapshots" / "new"]
    (repository / "refs" / "main").write_text("../../../escape")
    assert [path.parent for path in _found(*_stores())] == [repository / "snapshots"]


def test_lm_studio_keeps_models_below_publishers_also_where_its_home_was_moved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = _empty_home(tmp_path, monkeypatch)
    here = home / ".lmstudio" / "models" / "publisher" / "lamb-GGUF" / "lamb-Q4_K_M.gguf"
    moved = tmp_path / "disk" / "lmstudio" / "models" / "publisher" / "goat" / "goat.gguf"
    for file in (here, moved):
        file.parent.mkdir(parents=True)
        file.touch()
    (home / ".lmstudio-home-pointer").write_text(f"{tmp_path / 'disk' / 'lmstudio'}\n")
    found = [(model.path, model.store) for model in find_models(_stores()) if model is not None]
    assert found == [(moved, "LM Studio"), (here, "LM Studio")]


def test_ollama_blobs_go_by_the_names_of_their_manifests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _empty_home(tmp_path, monkeypatch)
    store = tmp_path / "ollama"
    monkeypatch.setenv("OLLAMA_MODELS", str(store))
    lamb = add_to_ollama(store, "registry.ollama.ai/library/lamb/7b", b"GGUF lamb")
    goat = add_to_ollama(store, "registry.ollama.ai/someone/goat/latest", b"GGUF goat")
    add_to_ollama(store, "registry.ollama.ai/library/lamb/latest", b"GGUF lamb")  # two names for one blob
    foreign = add_to_ollama(store, "example.org/team/cow/v1", b"GGUF cow")
    manifests = store / "manifests" / "registry.ollama.ai" / "library"
    for name, content in {
        "cut": b'{"layers": [',
        "climbs": ollama_manifest("sha256:../../../etc/passwd"),
        "gone": ollama_manifest("sha256:" + "0" * 64),
        "large": b" " * 2_000_000,
        "list": b"[]",
    }.items():
        (manifests / name).mkdir()
        (manifests / name / "latest").write_bytes(content)
    found = {model.name: (model.path, model.store) for model in find_models(_stores()) if model is not None}
    assert found == {
        "example.org/team/cow:v1": (foreign, "Ollama"),
        "lamb:7b": (lamb, "Ollama"),
        "someone/goat:latest": (goat, "Ollama"),
    }


def _empty_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path / "home"
    home.mkdir()
    for name in ("HF_HOME", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "OLLAMA_MODELS", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(home))
    return home
