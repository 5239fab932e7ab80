"""A model is as it was, or the file that is not is named; whoever wrote its checksums down."""

import hashlib
import os
from pathlib import Path

import pytest

from desktop_app.library.model_check import check_model
from desktop_app.result_folder import write_manifest
from tests.fakes.model_files import add_to_ollama, gguf_bytes, write_llama, write_sharded_llama


def spoil(file: Path) -> None:
    with file.open("r+b") as stream:
        stream.seek(-1, 2)
        stream.write(b"\1")


def test_against_the_manifest_of_its_job(tmp_path: Path) -> None:
    folder = write_llama(tmp_path / "m")
    write_manifest(folder, {"kind": "quantize"})
    told: list[tuple[int, int]] = []
    check = check_model(folder, {}, lambda done, total: told.append((done, total)))
    assert check.problems == []
    assert check.findings[-1].startswith("2 of 2 files compared with checksums that were written when it was made")
    assert told[-1][0] == told[-1][1] > 0
    spoil(folder / "model.safetensors")
    assert check_model(folder, {}).problems == [
        "model.safetensors has other content than before: its checksum differs."
    ]
    (folder / "model.safetensors").unlink()
    problems = check_model(folder, {}).problems
    assert "model.safetensors is missing." in problems and len(problems) == 2


def test_against_the_check_before(tmp_path: Path) -> None:
    folder = write_sharded_llama(tmp_path / "m")
    first = check_model(folder, {})
    assert "the next check compares with them" in first.findings[-1]
    assert "of the check before" in check_model(folder, first.digests).findings[-1]
    spoil(folder / "model-00002-of-00002.safetensors")
    assert "model-00002-of-00002.safetensors has other content" in check_model(folder, first.digests).problems[0]


@pytest.mark.skipif(os.name == "nt", reason="links need rights on Windows")
def test_against_the_names_that_caches_give_their_files(tmp_path: Path) -> None:
    snapshot = write_llama(tmp_path / "models--o--m" / "snapshots" / "abc")
    blobs = tmp_path / "models--o--m" / "blobs"
    blobs.mkdir()
    for name in ("config.json", "model.safetensors"):
        content = (snapshot / name).read_bytes()
        git = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
        blob = blobs / (git if name == "config.json" else hashlib.sha256(content).hexdigest())
        (snapshot / name).rename(blob)
        (snapshot / name).symlink_to(f"../../blobs/{blob.name}")
    check = check_model(snapshot, {})
    assert (check.problems, "2 of 2 files" in check.findings[-1]) == ([], True)
    spoil((snapshot / "model.safetensors").resolve())
    assert check_model(snapshot, {}).problems == [
        "model.safetensors has other content than before: its checksum differs."
    ]
    blob = add_to_ollama(tmp_path / "ollama", "h/n/m/t", gguf_bytes())
    assert check_model(blob, {}).problems == []
    spoil(blob)
    assert check_model(blob, {}).problems != []


def test_damaged_headers_and_manifests_are_told(tmp_path: Path) -> None:
    folder = write_llama(tmp_path / "m")
    (folder / "manifest.json").write_text('{"files": [1]}')
    assert check_model(folder, {}).problems == []
    os.truncate(folder / "model.safetensors", 9000)
    assert "is cut off" in check_model(folder, {}).problems[0]
