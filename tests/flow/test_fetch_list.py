"""A fetch list is run by a plain shell on a computer without Whetstone, and what it got is compared on its return."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from desktop_app.errors import StorageError
from desktop_app.library.fetch_list import Fetched, write_fetch_list
from desktop_app.library.model_folder import listed_facts
from desktop_app.result_folder import read_manifest
from desktop_app.services.hub import repo_files
from tests.fakes.hub_server import COMMIT, TOKEN, Hub, serve
from tests.fakes.model_files import write_llama
from tests.workers.running import Ran, run_job

pytestmark = pytest.mark.skipif(os.name == "nt" or shutil.which("curl") is None, reason="needs sh and curl")
ODD = "it's a note, ü.txt"


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    lamb = write_llama(tmp_path / "lamb")
    files = {path.name: path.read_bytes() for path in lamb.iterdir()}
    files |= {"README.md": b"# lamb", ODD: b"odd", "code.py": b"evil", "sub/x.json": b"{}"}
    with serve(Hub(repos={"owner/lamb": files})) as running:
        monkeypatch.setenv("HF_ENDPOINT", running.url)
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", running.url)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)  # as workers set it, and its tests
        yield running


def made(folder: Path, names: list[str] | None = None) -> Path:
    """Make a list where the hub can be asked; all files a loader needs unless named."""
    found = repo_files("owner/lamb")
    wanted = [each for each in found["files"] if (each["name"] in names if names else each["suggested"])]
    fields = ("name", "size", "sha256", "git_sha1")
    write_fetch_list(
        folder, "owner/lamb", found["commit"], [Fetched(**{k: each[k] for k in fields}) for each in wanted]
    )
    return folder


def run_script(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    plain = {"PATH": os.environ["PATH"], **environment}
    return subprocess.run(["sh", "fetch.sh"], cwd=folder, env=plain, capture_output=True, text=True, timeout=60)


def brought(tmp_path: Path, folder: Path, name: str = "here", **more: object) -> Ran:
    return run_job(tmp_path, kind="bring_in", model=str(folder), output=str(tmp_path / "models" / name), **more)


def test_an_exact_list_is_fetched_by_plain_commands_and_verified(hub: Hub, tmp_path: Path) -> None:
    folder = made(tmp_path / "list", ["config.json", "model.safetensors", "README.md", ODD, "sub/x.json"])
    assert "model.safetensors" in (folder / "FETCH.txt").read_text()
    ended = run_script(folder)
    assert ended.returncode == 0, ended.stderr
    assert (folder / ODD).read_bytes() == b"odd" and (folder / "sub" / "x.json").is_file()
    before = len(hub.seen)
    assert "is there: model.safetensors" in run_script(folder).stdout and len(hub.seen) == before
    ran = brought(tmp_path, folder)
    assert ran.code == 0, ran.last
    assert any(notice.text == "5 files are those that the hub states." for notice in ran.of_kind("notice"))
    assert sorted(path.name for path in ran.result.iterdir()) == sorted(
        ["README.md", "config.json", ODD, "manifest.json", "model.safetensors", "sub"]
    )
    origin = listed_facts(ran.result).origin
    assert origin is not None and (origin.kind, origin.source) == ("download", "owner/lamb")
    assert read_manifest(ran.result)["origin"]["source"]["commit"] == COMMIT


@pytest.mark.parametrize("name", ["model.safetensors", "README.md"])
def test_what_was_spoiled_or_forgotten_is_named(hub: Hub, tmp_path: Path, name: str) -> None:
    folder = made(tmp_path / "list")
    assert run_script(folder).returncode == 0
    content = bytearray((folder / name).read_bytes())
    content[-1] ^= 1
    (folder / name).write_bytes(content)
    ran = brought(tmp_path, folder, move=True)
    assert ran.last.kind == "failed" and f"{name} is not what the hub states" in ran.last.message
    assert (folder / name).is_file()  # nothing was moved
    again = run_script(folder)  # mends what is spoiled
    assert again.returncode == 0 and f"fetching: {name}" in again.stdout
    (folder / "README.md").unlink()
    assert "README.md was not fetched" in brought(tmp_path, folder).last.message


def test_a_cut_goes_on_and_a_lie_is_not_kept(hub: Hub, tmp_path: Path) -> None:
    folder = made(tmp_path / "list")
    hub.cuts, hub.cut_after = 1, 5_000
    first = run_script(folder)
    if first.returncode != 0:  # curl may try again by itself
        assert run_script(folder).returncode == 0
    assert any(asked.startswith("bytes=5000") for asked in hub.ranges_of("model.safetensors"))
    (folder / "model.safetensors").unlink()
    hub.lies.add("model.safetensors")
    lied = run_script(folder)
    assert lied.returncode == 1 and "is not what the hub states" in lied.stderr
    assert not (folder / "model.safetensors").exists()


def test_made_offline_the_script_asks_the_hub_and_its_answer_is_the_list(hub: Hub, tmp_path: Path) -> None:
    folder = tmp_path / "list"
    write_fetch_list(folder, "owner/lamb", "")
    assert hub.seen == []
    ended = run_script(folder)
    assert ended.returncode == 0, ended.stderr
    names = {path.name for path in folder.iterdir()}
    assert {"config.json", "model.safetensors", "README.md", "hub-answer.json"} <= names
    assert names.isdisjoint({"code.py", "sub", ODD})  # what no loader needs, and names that a shell would misread
    ran = brought(tmp_path, folder)
    assert ran.code == 0 and not (ran.result / "hub-answer.json").exists()
    assert read_manifest(ran.result)["origin"]["source"] == {"repo": "owner/lamb", "commit": COMMIT}
    with (folder / "model.safetensors").open("r+b") as stream:
        stream.seek(-3, 2)
        stream.write(b"\7")
    refused = brought(tmp_path, folder, "again").last
    assert "model.safetensors is not what the hub states" in refused.message and "Delete it" in refused.hint
    (folder / "model.safetensors").unlink()
    assert run_script(folder).returncode == 0 and brought(tmp_path, folder, "mended").code == 0


def test_a_gated_model_takes_the_token_of_whoever_runs_it(hub: Hub, tmp_path: Path) -> None:
    write_fetch_list(tmp_path / "list", "owner/lamb", "main")
    hub.gated.add("owner/lamb")
    assert run_script(tmp_path / "list").returncode != 0
    assert run_script(tmp_path / "list", HF_TOKEN=TOKEN).returncode == 0
    assert TOKEN not in "".join(path.read_text() for path in (tmp_path / "list").glob("f*"))


def test_a_folder_that_is_there_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "list").mkdir()
    with pytest.raises(StorageError, match="exists already"):
        write_fetch_list(tmp_path / "list", "owner/lamb", "main")
