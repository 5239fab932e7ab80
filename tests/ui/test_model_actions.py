"""What can be done with models from the window: bring in, download, verify, convert, rename, delete."""

from pathlib import Path

import pytest
from nicegui import ui
from nicegui.testing import User

from desktop_app.domain.bring_in_spec import BringInSpec
from desktop_app.domain.convert_spec import ConvertSpec
from desktop_app.domain.download_spec import DownloadSpec
from desktop_app.domain.job import JobState
from desktop_app.domain.spec import parse_spec_text
from desktop_app.errors import NetworkError, StorageError
from desktop_app.paths import jobs_dir, models_dir, settings_dir
from desktop_app.settings import write_settings
from desktop_app.ui.window_state import WindowState
from tests.fakes.fake_service import FakeService
from tests.fakes.index_row import job
from tests.fakes.model_files import write_adapter, write_llama
from tests.ui.patience import until
from tests.ui.tab_bench import FAKE_WORKER, choose, make_model, open_tab, pick, sees

COMMIT = "0" * 40


@pytest.fixture
def lamb(state: WindowState, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A listed and chosen model, with the fake worker in place of the real one."""
    monkeypatch.setenv("WHETSTONE_FAKE_WORKER", str(FAKE_WORKER))
    folder = Path(make_model(tmp_path / "models" / "lamb"))
    state.models.add([str(folder)])
    state.choose_model(str(folder))
    return folder


def specs() -> list[object]:
    return [parse_spec_text(file.read_bytes()) for file in sorted(jobs_dir().glob("*/spec.json"))]


async def act(user: User, marker: str) -> None:
    await user.should_see(marker=f"{marker}-model", retries=50)
    user.find(marker=f"{marker}-model").click()


async def test_a_model_is_brought_in_from_a_picked_or_pasted_place(
    user: User, state: WindowState, lamb: Path, tmp_path: Path
) -> None:
    await open_tab(user, state, "models")
    await sees(user, "Chat template")
    user.find("Bring in").click()
    await sees(user, "Bring in a model")
    choose(user, "bring-source", str(tmp_path / "nothing"))
    user.find(marker="bring-source").trigger("blur")
    await sees(user, "does not exist")
    goat = write_llama(tmp_path / "stick ä" / "goat")
    choose(user, "bring-source", f"'{goat.as_uri()}'")
    user.find(marker="bring-source").trigger("blur")
    await sees(user, "goat: model ·")
    assert next(iter(user.find(marker="bring-target").elements)).value == str(models_dir() / "goat")
    choose(user, "bring-target", str(tmp_path / "disk" / "goat"))
    choose(user, "bring-move", True)
    user.find("Bring it in").click()
    await until(lambda: state.tab == "jobs")
    assert specs() == [BringInSpec(model=str(goat), output=str(tmp_path / "disk" / "goat"), move=True)]
    assert state.settings.watched_folders == [str(tmp_path / "disk")]


async def test_what_is_dropped_onto_the_window_is_offered_to_be_brought_in(
    user: User, state: WindowState, lamb: Path, tmp_path: Path
) -> None:
    goat = write_llama(tmp_path / "stick" / "goat")
    await open_tab(user, state, "models")
    state.dropped.emit([str(goat)])
    await sees(user, "goat: model ·")


async def test_offline_nothing_is_asked_of_a_hub(user: User, state: WindowState, lamb: Path) -> None:
    state.hub = hub = FakeService()
    await open_tab(user, state, "models")
    await sees(user, "Chat template")
    user.find("Download").click()
    await sees(user, "Whetstone is offline")
    user.find("Open Settings").click()
    assert state.tab == "settings"
    assert hub.calls == []


async def test_a_model_is_downloaded_by_name_with_chosen_files(user: User, state: WindowState, lamb: Path) -> None:
    def repo_files(repo: str, revision: str) -> dict[str, object]:
        if repo == "o/gated":
            raise NetworkError("o/gated is gated: its owner must let you in.", "Ask for access.")
        names = {"config.json": (500, True), "model.safetensors": (3_000_000, True), "model.bin": (9, False)}
        files = [{"name": name, "size": size, "suggested": is_wanted} for name, (size, is_wanted) in names.items()]
        return {"repo": repo, "commit": COMMIT, "licence": "mit", "files": files}

    def save_token(token: str) -> None:
        raise StorageError("This system has no keyring that could keep the token safe.", "Use HF_TOKEN.")

    state.hub = FakeService(repo_files=repo_files, save_token=save_token)
    state.settings.offline = False
    settings_dir().mkdir(parents=True)
    write_settings(settings_dir(), {"offline": False})
    await state.look_at_machine()
    await open_tab(user, state, "models")
    await sees(user, "Chat template")
    user.find("Download").click()
    await sees(user, "Download a model")
    for name, said in (("", "No model is named"), ("a b", "a b is no name of a model"), ("o/gated", "is gated")):
        choose(user, "hub-name", name)
        user.find("Look").click()
        await sees(user, said)
    choose(user, "hub-token", "hf_x")
    user.find("Keep").click()
    await sees(user, "no keyring")
    choose(user, "hub-name", "https://hub.example/o/goat/tree/v2")
    user.find("Look").click()
    await sees(user, "Download 3.0 MB")
    await sees(user, "2 of 3 files")
    await sees(user, f"Model, 3.0 MB: the chosen files, each written where it stays.\nFree where {models_dir()} lies.")
    await sees(user, "Program, 48 MB: about 50 MB, without PyTorch")
    assert state.hub.calls[-1] == ("repo_files", {"repo": "o/goat", "revision": "v2"})
    user.find(kind=ui.checkbox, content="model.bin").click()
    await sees(user, "3 of 3 files")
    user.find("Download 3.0 MB").click()
    await until(specs)
    files = ("config.json", "model.safetensors", "model.bin")
    assert specs() == [DownloadSpec(repo="o/goat", revision=COMMIT, files=files, output=str(models_dir() / "goat"))]


async def test_verify_compares_now_and_with_the_time_before(user: User, state: WindowState, lamb: Path) -> None:
    await open_tab(user, state, "models")
    await act(user, "verify")
    await sees(user, "lamb is as it should be")
    await sees(user, "the next check compares with them")
    user.find("Close").click()
    with (lamb / "model.safetensors").open("r+b") as stream:
        stream.seek(-1, 2)
        stream.write(b"\1")
    await act(user, "verify")
    await sees(user, "lamb could not be confirmed")
    await sees(user, "model.safetensors has other content than before")


async def test_old_weights_are_offered_to_be_converted(user: User, state: WindowState, lamb: Path) -> None:
    (lamb / "model.safetensors").rename(lamb / "pytorch_model.bin")
    await open_tab(user, state, "models")
    await sees(user, "a pickle file, which can run code when it is opened")
    user.find(kind=ui.button, content="Convert to safetensors").click()
    await until(specs)
    assert specs() == [ConvertSpec(model=str(lamb))]


async def test_a_renamed_model_keeps_tags_and_its_place(user: User, state: WindowState, lamb: Path) -> None:
    state.models.notes.set(str(lamb), ["mine"], "")
    adapter = write_adapter(lamb.parent / "adapter", str(lamb))
    state.models.add([str(adapter)])
    await open_tab(user, state, "models")
    await sees(user, "Used by")
    await act(user, "rename")
    await sees(user, "adapter will no longer find it")
    choose(user, "new-name", "a/b")
    user.find(kind=ui.button, content="Rename").click()
    await sees(user, "'a/b' cannot be the name of a model")
    await act(user, "rename")
    await sees(user, "Renames ")
    choose(user, "new-name", "sheep")
    user.find(kind=ui.button, content="Rename").click()
    sheep = lamb.with_name("sheep")
    await until(lambda: state.model == str(sheep))
    assert (sheep / "config.json").is_file() and not lamb.exists()
    assert state.models.notes.of(str(sheep)).tags == ("mine",)
    assert state.settings.model_folders == [str(sheep), str(adapter)]


async def test_deleting_names_what_depends_on_it_and_how_much_goes(user: User, state: WindowState, lamb: Path) -> None:
    adapter = write_adapter(lamb.parent / "adapter", str(lamb))
    state.models.add([str(adapter)])
    used = job(1, JobState.QUEUED, model=str(lamb))
    state.index.put(used)
    await state.look_at_jobs()
    await open_tab(user, state, "models")
    await sees(user, "Used by")
    await act(user, "delete")
    await sees(user, "needs lamb.")
    state.index.put(job(1, JobState.FAILED, model=str(lamb)))
    await state.look_at_jobs()
    await act(user, "delete")
    await sees(user, "adapter cannot be used without it.")
    await sees(user, "in the history cannot be run again.")
    user.find("Keep it").click()
    assert lamb.is_dir()
    await act(user, "delete")
    await sees(user, "The files are removed for good.")
    user.find(kind=ui.button, content="Delete 2").click()
    await until(lambda: not lamb.exists())
    await until(lambda: state.settings.model_folders == [str(adapter)])


async def test_the_result_of_a_job_is_not_deleted_behind_its_back(
    user: User, state: WindowState, tmp_path: Path
) -> None:
    result = write_llama(jobs_dir() / "j1" / "result")
    state.models.add([str(result)])
    state.choose_model(str(result))
    await open_tab(user, state, "models")
    await act(user, "delete")
    await sees(user, "Delete the job in History")
    assert result.is_dir()


async def test_picked_folders_fill_the_dialog(user: User, state: WindowState, lamb: Path, tmp_path: Path) -> None:
    goat = write_llama(tmp_path / "stick" / "goat")
    await open_tab(user, state, "models")
    await sees(user, "Chat template")
    user.find("Bring in").click()
    await sees(user, "Bring in a model")
    user.find(marker="bring-pick").click()
    await pick(user, str(goat))
    await sees(user, "goat: model ·")


async def test_a_fetch_list_is_made_offline_with_commands_that_ask(
    user: User, state: WindowState, lamb: Path, tmp_path: Path
) -> None:
    state.hub = hub = FakeService()
    state.settings.offline = True
    await open_tab(user, state, "models")
    await sees(user, "Chat template")
    user.find("Download").click()
    await sees(user, "Whetstone is offline")
    user.find(marker="make-list").click()
    await sees(user, "No model is named.")
    choose(user, "fetch-name", "https://huggingface.co/owner/goat")
    user.find(marker="make-list").click()
    (tmp_path / "stick").mkdir()
    await pick(user, str(tmp_path / "stick"))
    await until((tmp_path / "stick" / "fetch-goat" / "fetch.sh").is_file)
    assert "owner/goat" in (tmp_path / "stick" / "fetch-goat" / "FETCH.txt").read_text()
    assert not hub.calls
