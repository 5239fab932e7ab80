"""The models tab: empty, added, searched for, with a problem, removed, made here."""

from pathlib import Path

from nicegui import ui
from nicegui.testing import User

from desktop_app.domain.job import Job, JobState
from desktop_app.ui.forms.finetune_form import demo_spec
from desktop_app.ui.model_scan import ModelScan
from desktop_app.ui.window_state import WindowState
from tests.fakes.model_files import write_adapter, write_llama
from tests.ui.patience import until
from tests.ui.tab_bench import make_model, open_tab, pick, sees


async def test_empty_it_offers_the_demo_or_a_folder(user: User, state: WindowState) -> None:
    await open_tab(user, state, "models")
    await sees(user, "No models yet")
    user.find("Try it with the demo").click()
    assert state.tab == "finetune"
    assert state.model == demo_spec().model
    assert state.settings.model_folders == [state.model]
    assert state.settings.data_files == [state.data]
    assert state.prefill == demo_spec()


async def test_a_picked_folder_is_described_and_chosen(user: User, state: WindowState, tmp_path: Path) -> None:
    folder = make_model(tmp_path / "models" / "tiny")
    await open_tab(user, state, "models")
    user.find("Add a model folder").click()
    await pick(user, folder)
    await sees(user, "LlamaForCausalLM")
    assert state.model == folder
    assert state.settings.model_folders == [folder]
    row = rows(user)[0]
    assert (row["name"], row["type"], row["context"], row["template"], row["kind"]) == (
        "tiny",
        "bf16",
        512,
        "yes",
        "model",
    )
    user.find("Fine-tune").click()
    assert state.tab == "finetune"


async def test_a_folder_with_a_problem_says_it_in_row_and_pane(user: User, state: WindowState, tmp_path: Path) -> None:
    broken = tmp_path / "mistral-7b-notes"
    broken.mkdir()
    (broken / "consolidated.00.pth").write_bytes(b"x")
    state.models.add([str(broken)])
    await open_tab(user, state, "models")
    await until(lambda: rows(user))
    assert rows(user)[0]["about"].startswith("has consolidated.00.pth but no config.json")
    state.choose_model(str(broken))
    await sees(user, "mistral-7b-notes has consolidated.00.pth but no config.json.")
    await sees(user, "Get the safetensors version of this model")
    assert not next(iter(user.find("Quantize").elements)).enabled


async def test_a_folder_without_any_model_is_told_and_not_listed(
    user: User, state: WindowState, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    await open_tab(user, state, "models")
    user.find("Add a model folder").click()
    await pick(user, str(tmp_path / "empty"))
    await sees(user, "empty holds no model.")
    assert state.settings.model_folders == []


async def test_a_search_finds_models_deeper_down_and_tells_how_it_went(
    user: User, state: WindowState, tmp_path: Path
) -> None:
    for name in ("a", "b/c"):
        write_llama(tmp_path / "disk" / name)
    await open_tab(user, state, "models")
    user.find("Scan folders").click()
    await sees(user, "Scan folders for models")
    user.find("Choose a folder").click()
    await pick(user, str(tmp_path / "disk"))
    await sees(user, "2 models found")
    assert sorted(row["name"] for row in rows(user)) == ["a", "c"]


async def test_a_stopped_search_keeps_what_it_found(state: WindowState, tmp_path: Path, user: User) -> None:
    for number in range(5):
        write_llama(tmp_path / f"m{number}")
    scan = ModelScan(state.models, state.reader)
    scan.changed.subscribe(lambda: scan.stop() if scan.found == 2 else None)
    await scan.run([str(tmp_path)])
    assert scan.found == 2
    assert len(state.settings.model_folders) == 2
    assert not scan.is_running


async def test_removing_from_the_list_keeps_the_files(user: User, state: WindowState, tmp_path: Path) -> None:
    folder = make_model(tmp_path / "tiny")
    state.models.add([folder])
    state.choose_model(folder)
    await open_tab(user, state, "models")
    await sees(user, "Chat template")
    user.find(marker="remove-model").click()
    await sees(user, "No models yet")
    assert state.settings.model_folders == []
    assert (Path(folder) / "config.json").is_file()
    assert any("Its files stay" in message for message in user.notify.messages)


async def test_what_jobs_made_appears_by_the_name_of_the_job(user: User, state: WindowState, tmp_path: Path) -> None:
    result = write_adapter(tmp_path / "jobs" / "x" / "result", "tiny")
    state.index.put(finished("support-r8", result))
    await state.look_at_jobs()
    await open_tab(user, state, "models")
    await until(lambda: rows(user))
    assert (rows(user)[0]["name"], rows(user)[0]["kind"]) == ("support-r8", "adapter, made here")
    state.choose_model(str(result))
    await sees(user, "Made by")
    assert not next(iter(user.find("Fine-tune").elements)).enabled
    await user.should_not_see(marker="remove-model")
    state.index.remove("20260101-120000-support-1")
    await state.look_at_jobs()
    await sees(user, "No models yet")


def finished(name: str, result: Path) -> Job:
    spec = {"kind": "finetune", "model": "/models/tiny", "data": "/data/notes.jsonl"}
    return Job(
        id="20260101-120000-support-1",
        kind="finetune",
        name=name,
        state=JobState.SUCCEEDED,
        method="lora",
        model="/models/tiny",
        data="/data/notes.jsonl",
        spec=spec,
        created=1.0,
        result=str(result),
        summary={},
    )


def rows(user: User) -> list[dict[str, object]]:
    return next(iter(user.find(ui.table).elements)).rows
