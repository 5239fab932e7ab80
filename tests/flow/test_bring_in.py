"""Models come in whole or not at all: copied, moved, spoiled on the way, cancelled and gone on with."""

import json
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from desktop_app.domain.job import JobState
from desktop_app.domain.spec import parse_spec
from desktop_app.errors import SpecError
from desktop_app.job_folder import Request
from desktop_app.jobs import submit
from desktop_app.library.model_folder import listed_facts
from desktop_app.result_folder import manifest_problems, part_folder, read_manifest, write_manifest
from desktop_app.workers.run import run_worker
from tests.fakes.model_files import add_to_ollama, gguf_bytes, write_adapter, write_llama, write_sharded_llama
from tests.flow.bench import Bench
from tests.workers.running import Ran, new_job, run_job

posix_only = pytest.mark.skipif(os.name == "nt", reason="links need rights on Windows")


@pytest.fixture
def stick(tmp_path: Path) -> Path:
    """A folder that stands for a USB stick."""
    return tmp_path / "stick"


@pytest.fixture
def other_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on another disk than the tests' own."""
    memory = Path("/dev/shm")
    if not memory.is_dir() or memory.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no second disk")
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        yield Path(folder)


def bring(tmp_path: Path, model: Path, name: str = "here", **more: Any) -> Ran:
    return run_job(tmp_path, kind="bring_in", model=str(model), output=str(tmp_path / "models" / name), **more)


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != "manifest.json")
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def test_a_copied_folder_is_the_same_byte_for_byte_and_says_where_it_is_from(tmp_path: Path, stick: Path) -> None:
    model = write_sharded_llama(stick / "lamb")
    (model / "sub").mkdir()
    (model / "sub" / "notes.txt").write_text("x")
    (model / ".git").mkdir()
    (model / ".git" / "big").write_text("not part of the model")
    before = contents(model)
    del before[".git/big"]
    ran = bring(tmp_path, model)
    assert contents(ran.result) == before
    assert manifest_problems(ran.result) == []
    manifest = read_manifest(ran.result)
    assert (manifest["kind"], manifest["source"]["path"], manifest["job"]) == ("bring_in", str(model), ran.folder.id)
    assert listed_facts(ran.result).origin is not None
    last = ran.of_kind("progress")[-1]
    size = sum(map(len, before.values()))
    assert (last.done, last.total, last.unit) == (2 * size, 2 * size, "byte")
    assert ran.last.checks["checksums"] == f"{len(before)} files read back, all as they were"
    assert model.is_dir()


def test_a_moved_folder_leaves_nothing_behind(tmp_path: Path, stick: Path) -> None:
    model = write_llama(stick / "lamb")
    before = contents(model)
    ran = bring(tmp_path, model, move=True)
    assert contents(ran.result) == before
    assert not model.exists() and stick.is_dir()
    assert manifest_problems(ran.result) == []


def test_a_move_to_another_disk_removes_the_original_only_after_the_check(tmp_path: Path, other_disk: Path) -> None:
    model = write_llama(other_disk / "lamb")
    (model / ".hidden").mkdir()
    (model / ".hidden" / "mine").write_text("stays")
    ran = bring(tmp_path, model, move=True)
    assert manifest_problems(ran.result) == []
    assert contents(model) == {".hidden/mine": b"stays"}
    gguf = other_disk / "goat.gguf"
    gguf.write_bytes(gguf_bytes())
    assert manifest_problems(bring(tmp_path, gguf, "goat", move=True).result) == []
    assert not gguf.exists()


def test_files_and_blobs_come_in_as_folders_with_a_gguf_file(tmp_path: Path, stick: Path) -> None:
    stick.mkdir()
    parts = [stick / f"lamb-0000{part}-of-00002.gguf" for part in (1, 2)]
    for part in parts:
        part.write_bytes(gguf_bytes() + bytes(100))
    ran = bring(tmp_path, parts[0], "split")
    assert sorted(contents(ran.result)) == [part.name for part in parts]
    blob = add_to_ollama(stick, "h/n/lamb/7b", gguf_bytes())
    assert list(contents(bring(tmp_path, blob, "lamb-7b").result)) == ["lamb-7b.gguf"]
    refused = bring(tmp_path, blob, "moved", move=True)
    assert "cache of another program" in refused.last.message and blob.exists()


@posix_only
def test_links_of_a_cache_become_files_and_are_not_moved(tmp_path: Path, stick: Path) -> None:
    snapshot = write_llama(stick / "models--o--lamb" / "snapshots" / "abc")
    blobs = stick / "models--o--lamb" / "blobs"
    blobs.mkdir()
    (snapshot / "model.safetensors").rename(blobs / "w")
    (snapshot / "model.safetensors").symlink_to("../../blobs/w")
    assert "cache of another program" in bring(tmp_path, snapshot, move=True).last.message
    ran = bring(tmp_path, snapshot)
    assert not (ran.result / "model.safetensors").is_symlink()
    assert manifest_problems(ran.result) == []
    (snapshot / "extra").symlink_to("/etc/hostname")
    assert "outside the model's folder" in bring(tmp_path, snapshot, "again").last.message


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda model: os.truncate(model / "model.safetensors", 5000), "is cut off"),
        (lambda model: (model / "config.json").unlink(), "no config.json"),
        (lambda model: (model / "config.json").write_text('{"model_type": "lambda9"}'), "'lambda9' is not known"),
        (lambda model: shutil.rmtree(model), "does not exist"),
    ],
)
def test_what_is_no_sound_model_is_refused_before_a_byte_is_copied(
    tmp_path: Path, stick: Path, spoil: Callable[[Path], object], said: str
) -> None:
    model = write_llama(stick / "lamb")
    spoil(model)
    ran = bring(tmp_path, model)
    assert ran.last.kind == "failed" and said in ran.last.message
    assert not (tmp_path / "models").exists() or not list((tmp_path / "models").iterdir())


def test_old_weights_may_come_in_to_be_converted(tmp_path: Path, stick: Path) -> None:
    model = write_llama(stick / "lamb")
    (model / "model.safetensors").rename(model / "pytorch_model.bin")
    assert bring(tmp_path, model).last.kind == "succeeded"


def test_a_model_of_ours_is_compared_with_what_its_job_wrote(tmp_path: Path, stick: Path) -> None:
    adapter = write_adapter(stick / "adapter", "/models/lamb")
    write_manifest(adapter, {"kind": "finetune", "job": "j", "source": {"path": "/models/lamb"}})
    good = bring(tmp_path, adapter)
    origin = listed_facts(good.result).origin
    assert origin is not None and (origin.kind, origin.source) == ("finetune", "/models/lamb")
    with (adapter / "adapter_model.safetensors").open("r+b") as stream:
        stream.seek(-3, 2)
        stream.write(b"\1")
    bad = bring(tmp_path, adapter, "spoiled")
    assert "adapter_model.safetensors differs from what was written" in bad.last.message
    assert not (tmp_path / "models" / "spoiled").exists()


def test_a_copy_that_reads_back_differently_is_never_shown(
    tmp_path: Path, stick: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = write_llama(stick / "lamb")

    def sync_badly(handle: int) -> None:
        if os.fstat(handle).st_size == (model / "model.safetensors").stat().st_size:
            os.pwrite(handle, b"\7", os.fstat(handle).st_size - 1)

    monkeypatch.setattr(os, "fsync", sync_badly)
    ran = bring(tmp_path, model)
    assert "its checksum differs" in ran.last.message
    assert not (tmp_path / "models" / "here").exists()


def test_too_little_space_is_told_before_anything_is_copied(
    tmp_path: Path, stick: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = write_llama(stick / "lamb")
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=1_000_000))
    ran = bring(tmp_path, model)
    assert "1 MB free" in ran.last.message and "Free some space" in ran.last.hint


def test_a_name_that_is_taken_is_never_overwritten(tmp_path: Path, stick: Path) -> None:
    model = write_llama(stick / "lamb")
    there = write_llama(tmp_path / "models" / "here", hidden_size=32)
    before = contents(there)
    assert "exists already" in bring(tmp_path, model).last.message
    assert contents(there) == before


def test_a_cancelled_copy_goes_on_with_what_is_there(
    tmp_path: Path, stick: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = write_sharded_llama(stick / "lamb")
    final = tmp_path / "models" / "here"
    job = new_job(tmp_path, kind="bring_in", model=str(model), output=str(final))
    first = "model-00001-of-00002.safetensors"

    def sync_and_cancel(handle: int) -> None:
        if os.fstat(handle).st_size == (model / first).stat().st_size:
            job.ask(Request.CANCEL)

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", sync_and_cancel)
        assert run_worker(job.path) == 130
    assert not final.exists()
    written = (part_folder(final, job.id) / first).stat()
    assert written.st_size == (model / first).stat().st_size
    job.take_back(Request.CANCEL)
    assert run_worker(job.path) == 0
    assert (final / first).stat().st_mtime_ns == written.st_mtime_ns  # not copied again
    assert manifest_problems(final) == []
    assert contents(final) == contents(model)
    assert [path.name for path in final.parent.iterdir()] == ["here"]
    assert run_worker(job.path) == 0  # as after a crash between the rename and the last word


def test_a_paused_copy_holds_still(tmp_path: Path, stick: Path) -> None:
    model = write_llama(stick / "lamb")
    job = new_job(tmp_path, kind="bring_in", model=str(model), output=str(tmp_path / "models" / "here"))
    job.ask(Request.PAUSE)
    thread = threading.Thread(target=run_worker, args=(job.path,))
    thread.start()
    end = time.monotonic() + 20
    while "paused" not in job.events_file.read_text() if job.events_file.exists() else True:
        assert time.monotonic() < end
        time.sleep(0.02)
    assert not (tmp_path / "models" / "here").exists()
    job.take_back(Request.PAUSE)
    thread.join(20)
    assert (tmp_path / "models" / "here").is_dir()


def test_through_the_queue_it_lands_among_our_models_and_its_rest_goes_with_the_job(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WHETSTONE_FAKE_WORKER")
    spec = parse_spec({"kind": "bring_in", "model": str(write_llama(tmp_path / "lamb"))})
    row = bench.until_ended(submit.submit(spec))
    assert row.state is JobState.SUCCEEDED, row
    assert (row.name, Path(row.result)) == ("lamb", bench.data_dir / "models" / "lamb")
    with pytest.raises(SpecError, match="exists already"):
        submit.submit(spec)
    part = part_folder(Path(row.result), row.id)
    part.mkdir()
    submit.delete(row.id)
    assert not part.exists()
    assert json.loads((Path(row.result) / "manifest.json").read_text())["job"] == row.id
