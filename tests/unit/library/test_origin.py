"""What a manifest says of a model's origin, and what a stranger's cannot do."""

import json
from pathlib import Path

import pytest

from desktop_app.domain.model_facts import ModelOrigin
from desktop_app.library.model_folder import listed_facts
from desktop_app.library.origin import stated_origin
from desktop_app.result_folder import ResultFolder, write_manifest
from tests.fakes.model_files import add_to_ollama, gguf_bytes, write_llama

ABOUT = {"kind": "quantize", "spec": {"method": "nf4", "model": "/m/lamb"}, "source": {"path": "/m/lamb"}}
ORIGIN = ModelOrigin(kind="quantize", job="job-1", source="/m/lamb", method="nf4")


def test_a_result_says_which_job_made_it_from_what(tmp_path: Path) -> None:
    result = ResultFolder(tmp_path / "result", "job-1")
    write_llama(result.part)
    folder = result.finish(ABOUT, lambda part: None)
    assert listed_facts(folder).origin == ORIGIN


def test_one_of_several_copies_finds_the_manifest_of_all(tmp_path: Path) -> None:
    write_llama(tmp_path / "result" / "nf4")
    write_manifest(tmp_path / "result", {"job": "job-1", **ABOUT})
    write_llama(tmp_path / "result" / "came-later")
    assert stated_origin(tmp_path / "result" / "nf4") == ORIGIN
    assert stated_origin(tmp_path / "result" / "came-later") is None


def test_a_copy_keeps_the_origin_of_what_was_copied(tmp_path: Path) -> None:
    write_manifest(tmp_path, {"job": "job-2", "kind": "bring_in", "origin": {"job": "job-1", **ABOUT}})
    assert stated_origin(tmp_path) == ORIGIN


@pytest.mark.parametrize("text", ["{", "[]", '{"kind": 1}', '{"a":' * 90_000, '{"kind": "x", "spec": [], "source": 3}'])
def test_a_strange_manifest_says_little_and_harms_nothing(tmp_path: Path, text: str) -> None:
    folder = write_llama(tmp_path / "m")
    (folder / "manifest.json").write_text(text)
    facts = listed_facts(folder)
    assert facts.problem == ""
    assert facts.origin is None or facts.origin == ModelOrigin(kind="x")


def test_a_blob_of_ollama_is_known_by_its_first_bytes(tmp_path: Path) -> None:
    facts = listed_facts(add_to_ollama(tmp_path, "h/n/m/t", gguf_bytes(**{"general.name": "Lamb"})))
    assert (facts.kind, facts.name, facts.parameters, facts.context_length) == ("gguf", "Lamb", 64 * 256, 2048)
    other = listed_facts(add_to_ollama(tmp_path, "h/n/m/u", b"no GGUF"))
    assert other.problem.endswith("is a file; a model is a folder.")


def test_a_file_in_parts_is_one_model_of_their_size_together(tmp_path: Path) -> None:
    for part in (1, 2, 3):
        (tmp_path / f"lamb-0000{part}-of-00003.gguf").write_bytes(gguf_bytes() + bytes(1000))
    facts = listed_facts(tmp_path)
    assert facts.size_bytes == 3 * (len(gguf_bytes()) + 1000)


def test_old_weights_that_could_be_converted_are_named(tmp_path: Path) -> None:
    folder = write_llama(tmp_path / "m")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    facts = listed_facts(folder)
    assert facts.pickle == "pytorch_model.bin"
    assert "Convert to safetensors" in facts.hint
    (folder / "config.json").write_text(json.dumps({}))
