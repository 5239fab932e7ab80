"""Models are downloaded whole through cuts, refusals and lies; only with the switch off, and only by this one job."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from desktop_app.domain.job import JobState
from desktop_app.domain.spec import parse_spec
from desktop_app.errors import NetworkError, SpecError, StorageError
from desktop_app.jobs import submit
from desktop_app.library.model_folder import listed_facts
from desktop_app.process import helper_environment
from desktop_app.result_folder import manifest_problems, part_folder, read_manifest
from desktop_app.services.client import Service
from desktop_app.settings import write_settings
from tests.fakes.hub_server import COMMIT, TOKEN, Hub, serve
from tests.fakes.model_files import write_llama
from tests.flow.bench import Bench
from tests.workers.running import ROOT, Ran, new_job

FAKES = ROOT / "tests" / "fakes"


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub with one model, a keyring of our own, and no other token."""
    model = write_llama(tmp_path / "on-the-hub")
    (model / "README.md").write_text("---\nlicense: mit\n---\n")
    (model / "modeling.py").write_text("raise SystemExit")
    (model / "pytorch_model.bin").write_bytes(b"old")
    files = {path.name: path.read_bytes() for path in model.iterdir()}
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "memory_keyring.FileKeyring")
    monkeypatch.setenv("PYTHONPATH", str(FAKES))
    monkeypatch.setenv("FAKE_KEYRING", str(tmp_path / "keyring"))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    with serve(Hub(repos={"owner/lamb": files})) as served:
        monkeypatch.setenv("HF_ENDPOINT", served.url)
        yield served


def worker(job: Any) -> "subprocess.Popen[bytes]":
    """Start the worker as the supervisor does: a process of its own, with the network."""
    environment = helper_environment(may_use_network=True)
    with (job.path / "console.log").open("ab") as log:
        command = [sys.executable, str(ROOT / "main.py"), "--worker", str(job.path)]
        return subprocess.Popen(command, env=environment, stdout=log, stderr=log)


def download(tmp_path: Path, **spec: Any) -> Ran:
    job = new_job(tmp_path, **{"kind": "download", "repo": "owner/lamb", "output": str(tmp_path / "lamb"), **spec})
    return Ran(job, worker(job).wait(60))


def test_what_a_loader_needs_is_downloaded_and_compared_with_the_hubs_checksums(tmp_path: Path, hub: Hub) -> None:
    ran = download(tmp_path)
    assert sorted(path.name for path in ran.result.iterdir()) == [
        "README.md", "config.json", "manifest.json", "model.safetensors",
    ]  # fmt: skip
    for name in ("config.json", "model.safetensors"):
        assert (ran.result / name).read_bytes() == hub.repos["owner/lamb"][name]
    assert manifest_problems(ran.result) == []
    manifest = read_manifest(ran.result)
    assert manifest["source"] == {"repo": "owner/lamb", "commit": COMMIT, "licence": "mit"}
    facts = listed_facts(ran.result)
    assert facts.origin is not None and facts.origin.source == "owner/lamb"
    last = ran.of_kind("progress")[-1]
    assert last.done == last.total == ran.last.summary["size_bytes"]
    assert ran.last.checks["checksums"] == "3 of 3 files as the hub states them"
    assert "telemetry" not in str(hub.seen)
    assert not any(had_token for *_, had_token in hub.seen)


def test_chosen_files_only_and_other_revisions(tmp_path: Path, hub: Hub) -> None:
    ran = download(tmp_path, files=["config.json"], revision=COMMIT)
    assert sorted(path.name for path in ran.result.iterdir()) == ["config.json", "manifest.json"]
    assert ran.of_kind("notice"), "it is told that this is no whole model"
    assert "no file 'x.bin'" in download(tmp_path, files=["x.bin"], output=str(tmp_path / "b")).last.message
    assert "no such revision" in download(tmp_path, revision="v9", output=str(tmp_path / "c")).last.message


def test_cut_connections_are_taken_up_where_they_broke(tmp_path: Path, hub: Hub) -> None:
    hub.repos["owner/lamb"]["model.safetensors"] += os.urandom(2_000_000)
    hub.cut_after, hub.cuts = 600_000, 3
    ran = download(tmp_path, files=["model.safetensors"])
    assert manifest_problems(ran.result) == []
    # first from the beginning, then after each cut from the last whole block of 256 KiB
    assert list(dict.fromkeys(hub.ranges_of("model.safetensors"))) == [
        "", "bytes=524288-", "bytes=1048576-", "bytes=1572864-",
    ]  # fmt: skip
    assert (ran.result / "model.safetensors").read_bytes() == hub.repos["owner/lamb"]["model.safetensors"]


def test_after_a_kill_it_goes_on_in_the_middle_of_the_file(tmp_path: Path, hub: Hub) -> None:
    hub.repos["owner/lamb"]["model.safetensors"] += bytes(3_000_000)
    hub.cut_after, hub.cuts = 600_000, 1
    job = new_job(tmp_path, kind="download", repo="owner/lamb", output=str(tmp_path / "lamb"))
    partial = part_folder(tmp_path / "lamb", job.id) / "model.safetensors.incomplete"
    process = worker(job)
    end = time.monotonic() + 30
    while not partial.exists() or partial.stat().st_size < 500_000:
        assert time.monotonic() < end and process.poll() is None
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL if os.name != "nt" else signal.SIGTERM)
    process.wait()
    had = partial.stat().st_size
    assert 500_000 <= had < 3_000_000 and not (tmp_path / "lamb").exists()
    hub.seen.clear()
    assert worker(job).wait(60) == 0
    assert hub.ranges_of("model.safetensors")[0] == f"bytes={had}-"
    assert hub.ranges_of("config.json") == [], "it was there already"
    assert manifest_problems(tmp_path / "lamb") == []


def test_a_server_that_cannot_go_on_in_the_middle_gives_the_whole_file_again(tmp_path: Path, hub: Hub) -> None:
    hub.repos["owner/lamb"]["model.safetensors"] += os.urandom(1_000_000)
    hub.cut_after, hub.cuts, hub.ignores_ranges = 600_000, 1, True
    ran = download(tmp_path, files=["model.safetensors"])
    assert (ran.result / "model.safetensors").read_bytes() == hub.repos["owner/lamb"]["model.safetensors"]
    assert ran.of_kind("progress")[-1].done == ran.last.summary["size_bytes"]


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
def test_bytes_that_are_not_those_of_the_checksum_are_never_shown(tmp_path: Path, hub: Hub, name: str) -> None:
    hub.lies.add(name)
    ran = download(tmp_path, files=[name])
    assert ran.last.error == "network"
    assert f"{name} is not what the hub states: its checksum differs" in ran.last.message
    assert not (tmp_path / "lamb").exists()


def test_a_list_that_leads_out_of_the_folder_is_refused(tmp_path: Path, hub: Hub) -> None:
    for name in ("../evil", "/etc/evil", "a/../../evil", "C:evil", "a\\evil"):
        hub.extra_names = (name,)
        assert "would lie outside its folder" in download(tmp_path).last.message


def test_the_service_lists_files_and_says_in_words_what_cannot_be_had(
    tmp_path: Path, hub: Hub, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.gated.add("owner/gated")
    hub.repos["owner/gated"] = hub.repos["owner/lamb"]
    service = Service("hub")

    def refusal(repo: str, revision: str = "") -> str:
        with pytest.raises(NetworkError) as caught:
            service.call("repo_files", 60, repo=repo, revision=revision)
        return str(caught.value)

    try:
        found = service.call("repo_files", 60, repo="owner/lamb")
        assert found["commit"] == COMMIT
        suggested = {file["name"]: file["suggested"] for file in found["files"]}
        assert suggested == {
            "README.md": True, "config.json": True, "model.safetensors": True,
            "modeling.py": False, "pytorch_model.bin": False,
        }  # fmt: skip
        assert "There is no model owner/nothing on the hub, or it is private." in refusal("owner/nothing")
        assert "owner/gated is gated" in refusal("owner/gated")
        assert "no such revision" in refusal("owner/lamb", "v9")
        hub.status = 429
        assert "fewer requests" in refusal("owner/lamb")
        hub.status = 0
        service.call("save_token", 60, token="hf_wrong")
        assert "does not accept the token" in refusal("owner/gated")
        service.call("save_token", 60, token=f" {TOKEN}\n")
        assert service.call("has_token", 60) is True
        assert service.call("repo_files", 60, repo="owner/gated")["files"]
        ran = download(tmp_path, repo="owner/gated", files=["config.json"])
        assert ran.code == 0
        kept = [path for path in tmp_path.rglob("*") if path.is_file() and TOKEN.encode() in path.read_bytes()]
        assert kept == [tmp_path / "keyring"], "the token stands nowhere but in the keyring"
        with pytest.raises(StorageError, match="no token"):
            service.call("save_token", 60, token="two words")
        service.call("save_token", 60, token="")
        service.call("save_token", 60, token="")
        assert service.call("has_token", 60) is False
    finally:
        service.close()
    monkeypatch.setenv("FAKE_KEYRING", "locked")
    service = Service("hub")
    try:
        with pytest.raises(StorageError, match="is locked"):
            service.call("save_token", 60, token=TOKEN)
    finally:
        service.close()
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.fail.Keyring")
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    service = Service("hub")
    try:
        with pytest.raises(StorageError, match="no keyring") as caught:
            service.call("save_token", 60, token=TOKEN)
        assert "HF_TOKEN" in caught.value.hint
        assert service.call("has_token", 60) is True
        assert "cannot be reached" in refusal("owner/lamb")
    finally:
        service.close()


def test_offline_means_offline_also_for_a_job_that_waits(
    tmp_path: Path, hub: Hub, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = parse_spec({"kind": "download", "repo": "owner/lamb"})
    with pytest.raises(SpecError, match="Whetstone is offline"):
        submit.submit(spec)  # as it is unless somebody switched it off
    settings = bench.data_dir / "settings"
    settings.mkdir(parents=True)
    write_settings(settings, {"offline": False})
    before = submit.submit(parse_spec({"kind": "download", "repo": "owner/before", "name": "steps=1000"}))
    bench.until_state(before, JobState.RUNNING)
    waiting = submit.submit(spec)  # one that fetches waits for another that does
    bench.until_state(waiting, JobState.QUEUED)
    write_settings(settings, {"offline": True})
    submit.cancel(before)
    row = bench.until_ended(waiting)
    assert (row.state, row.name) == (JobState.FAILED, "lamb")
    assert "Whetstone is offline" in row.message
    with pytest.raises(SpecError, match="offline"):
        submit.run_on(waiting)
    assert hub.seen == []
    monkeypatch.delenv("WHETSTONE_FAKE_WORKER")
    bench.until_quiet()
    write_settings(settings, {"offline": False})
    submit.run_on(waiting)
    bench.until_state(waiting, JobState.SUCCEEDED)
    assert (bench.data_dir / "models" / "lamb" / "model.safetensors").is_file()
