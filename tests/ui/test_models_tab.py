"""The models tab: empty, added, searched for, with a problem, removed, made here."""

import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from nicegui import ui
from nicegui.testing import User

from desktop_app.domain.job import Job, JobState
from desktop_app.result_folder import write_manifest
from desktop_app.services.client import ServiceBusy
from desktop_app.ui.forms.finetune_form import demo_spec
from desktop_app.ui.known_models import KnownModels
from desktop_app.ui.model_scan import ModelScan
from desktop_app.ui.window_state import WindowState
from tests.fakes.model_files import add_to_ollama, gguf_bytes, write_adapter, write_llama
from tests.ui.patience import PATIENT, until
from tests.ui.tab_bench import choose, make_model, open_tab, pick, sees


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


async def test_a_folder_with_models_deeper_down_is_watched(user: User, state: WindowState, tmp_path: Path) -> None:
    for name in ("a", "b/c"):
        write_llama(tmp_path / "disk" / name)
    await open_tab(user, state, "models")
    user.find("Add a model folder").click()
    await pick(user, str(tmp_path / "disk"))
    await sees(user, "2 models found")
    assert sorted(row["name"] for row in rows(user)) == ["a", "c"]
    assert state.settings.watched_folders == [str(tmp_path / "disk")]
    assert state.settings.model_folders == []
    write_llama(tmp_path / "disk" / "b" / "new")
    await state.look_at_folders()
    assert sorted(row["name"] for row in rows(user)) == ["a", "c", "new"]
    shutil.rmtree(tmp_path / "disk" / "a")
    await state.look_at_folders()
    assert sorted(row["name"] for row in rows(user)) == ["c", "new"]
    user.find("Folders").click()
    await sees(user, "Where models are looked for")
    user.find(marker=f"unwatch-{tmp_path / 'disk'}").click()
    user.find("Done").click()
    await sees(user, "No models yet")


async def test_caches_of_other_programs_are_listed_by_their_names_unless_switched_off(
    user: User, state: WindowState, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HF_HOME", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("OLLAMA_MODELS", str(tmp_path / "ollama"))
    blob = add_to_ollama(tmp_path / "ollama", "registry.ollama.ai/library/lamb/7b", gguf_bytes())
    state.settings.look_in_caches = True
    await open_tab(user, state, "models")
    await until(lambda: state.models.facts)
    row = rows(user)[0]
    assert (row["name"], row["kind"], row["path"]) == ("lamb:7b", "GGUF, Ollama", str(blob))
    user.find("Folders").click()
    await sees(user, "Look in the caches of other programs")
    choose(user, "look-in-caches", False)
    await sees(user, "No models yet")


async def test_a_second_search_reads_nothing_again(state: WindowState, tmp_path: Path, user: User) -> None:
    for number in range(3):
        write_llama(tmp_path / "disk" / f"m{number}")
    state.models.watch(str(tmp_path / "disk"))
    await state.look_at_folders()
    (tmp_path / "disk" / "m0" / "config.json").touch()
    opened: list[str] = []
    watching = [True]
    sys.addaudithook(
        lambda event, arguments: opened.append(str(arguments[0])) if watching[0] and event == "open" else None
    )
    again = KnownModels(state.settings, state.inspect)
    await ModelScan(again, state.reader).run([str(tmp_path / "disk")])
    watching.clear()
    watching.append(False)
    assert sorted(facts.name for facts in again.facts.values()) == ["m0", "m1", "m2"]
    read = {Path(path).parent.name for path in opened if path.startswith(str(tmp_path / "disk"))}
    assert read == {"m0"}  # the one that changed


async def test_a_model_is_not_given_up_while_what_reads_it_is_busy(
    state: WindowState, tmp_path: Path, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_llama(tmp_path / "lamb")
    tries, call = [], state.inspect.call

    def late(method: str, timeout_s: float, **params: Any) -> Any:
        tries.append(method)
        if len(tries) < 3:
            raise ServiceBusy("Looking at the model is not possible yet.", "Try again in a moment.")
        return call(method, timeout_s, **params)

    monkeypatch.setattr(state.inspect, "call", late)
    await state.models.read(str(tmp_path / "lamb"))
    assert (len(tries), state.models.facts[str(tmp_path / "lamb")].problem) == (3, "")


async def test_a_stopped_search_keeps_what_it_found_and_does_not_begin_again(
    state: WindowState, tmp_path: Path, user: User
) -> None:
    for number in range(45):
        write_llama(tmp_path / "disk" / f"m{number}")
    state.models.watch(str(tmp_path / "disk"))
    state.scan.changed.subscribe(lambda: state.scan.stop() if state.scan.found == 20 else None)
    await state.scan.run([str(tmp_path / "disk")])
    assert (state.scan.found, len(state.models.paths)) == (20, 20)
    assert not state.scan.is_running
    assert state.models.roots_to_search() == []


async def test_a_watched_disk_that_is_gone_is_told_and_found_again_when_it_comes(
    state: WindowState, tmp_path: Path, user: User
) -> None:
    state.models.watch(str(tmp_path / "stick"))
    await state.look_at_folders()
    assert state.scan.problem == f"{tmp_path / 'stick'} is not there, or cannot be read."
    assert state.models.roots_to_search() == []
    write_llama(tmp_path / "stick" / "lamb")
    await state.look_at_folders()
    assert [facts.name for facts in state.models.facts.values()] == ["lamb"]
    assert state.scan.problem == ""


async def test_tags_and_notes_are_kept_searched_and_filtered(user: User, state: WindowState, tmp_path: Path) -> None:
    lamb, goat = make_model(tmp_path / "lamb"), make_model(tmp_path / "goat")
    state.models.add([lamb, goat])
    state.choose_model(lamb)
    await open_tab(user, state, "models")
    await until(lambda: len(rows(user)) == 2)
    choose(user, "model-tags", ["for work"])
    choose(user, "model-note", "the one from Anna")
    await until(lambda: rows(user)[0]["tags"] == ["for work"])
    kept = KnownModels(state.settings, state.inspect).notes.of(lamb)
    assert (kept.tags, kept.note) == (("for work",), "the one from Anna")
    choose(user, "search-models", "anna")
    assert [row["name"] for row in rows(user)] == ["lamb"]
    choose(user, "search-models", "nothing has this")
    await sees(user, "No model fits the filter.")
    user.find("Show all").click()
    assert len(rows(user)) == 2
    next(iter(user.find(marker="show-for work").elements)).selected = True
    assert [row["name"] for row in rows(user)] == ["lamb"]


async def test_lineage_leads_from_a_model_to_its_source_and_back(
    user: User, state: WindowState, tmp_path: Path
) -> None:
    base = write_llama(tmp_path / "lamb")
    adapter = write_adapter(tmp_path / "adapter", str(base))
    about = {"job": "20260101-120000-support-1", "kind": "finetune", "source": {"path": str(base)}}
    write_manifest(adapter, {**about, "spec": {"method": "lora"}})
    state.models.add([str(base), str(adapter)])
    state.choose_model(str(adapter))
    await open_tab(user, state, "models")
    await sees(user, "Made from")
    await sees(user, "a fine-tuning")
    await user.should_see(marker=f"to-{base}", retries=PATIENT)
    user.find(marker=f"to-{base}").click()
    assert state.model == str(base)
    await sees(user, "Used by")


async def test_removing_from_the_list_keeps_the_files(user: User, state: WindowState, tmp_path: Path) -> None:
    folder = make_model(tmp_path / "tiny")
    state.models.add([folder])
    state.choose_model(folder)
    await open_tab(user, state, "models")
    await sees(user, "Chat template")
    user.find(marker="more-actions").click()
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
    await sees(user, "Belongs to")
    assert not next(iter(user.find("Fine-tune").elements)).enabled
    await user.should_not_see("Remove from the list")
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
