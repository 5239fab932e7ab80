"""The Chat tab, with the demo model in its real process, and with quick answers where the model does not matter."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from nicegui.testing import User

from desktop_app import paths
from desktop_app.domain.chat import LoadedModel, Sampling, Speaker
from desktop_app.domain.finetune_spec import FinetuneSpec
from desktop_app.errors import ServiceError
from desktop_app.extras import LLAMA_CPP
from desktop_app.services.chat import Chat
from desktop_app.ui.window_state import WindowState
from tests.fakes.fake_service import FakeService
from tests.fakes.model_files import gguf_bytes, write_adapter
from tests.ui.patience import PATIENT, until
from tests.ui.tab_bench import choose, make_model, open_tab, sees

DEMO = str(paths.demo_model())


@pytest.fixture
def talking(state: WindowState, tmp_path: Path) -> Iterator[WindowState]:
    """A state whose models answer by their name and the question."""

    def answer(
        speaker: dict[str, Any], turns: list[dict[str, Any]], sampling: dict[str, Any], progress: Any, **_: Any
    ) -> Any:
        name = Path(speaker["model"]).name
        text = f"{name} says yes to {turns[-1]['text']}"
        if "fail" in turns[-1]["text"]:
            raise ServiceError("The answer was cut off: its process ended (exit code -9).", "Ask again.")
        loaded = LoadedModel(model=speaker["model"], base=speaker["model"], name=name, device="cpu", dtype="float32")
        progress.stream(loaded=loaded.model_dump(mode="json"))
        progress.stream(piece=text)
        return {"text": text, "tokens": 5, "seconds": 1.0, "first_token_s": 0.2, "seed": sampling["seed"]}

    state.chat.chat = Chat(FakeService(answer=answer))  # type: ignore[arg-type]
    state.tab = "chat"
    state.settings.model_folders = [make_model(tmp_path / name) for name in ("one", "two")]
    yield state


async def test_the_engine_of_gguf_files_is_chosen_where_one_is_asked(
    user: User, state: WindowState, tmp_path: Path
) -> None:
    file = tmp_path / "three.gguf"
    file.write_bytes(gguf_bytes(**{"general.architecture": "llama", "general.name": "three"}))
    state.tab = "chat"
    state.settings.model_folders = [make_model(tmp_path / "one"), str(file)]
    await open_tab(user, state, "chat")
    await sees(user, "Compare with another")
    await user.should_not_see("GGUF files by llama.cpp", retries=3)
    await until(lambda: str(file) in state.models.facts)
    choose(user, "speaker-0", str(file))
    await sees(user, "GGUF files by llama.cpp")
    box = next(iter(user.find(marker="by-llama-cpp").elements))
    assert box.enabled is LLAMA_CPP.is_here
    if not LLAMA_CPP.is_here:
        await sees(user, "llama.cpp needs llama_cpp, which is not installed; install it by python3 build/dev.py extra")
    state.settings.chat_by_llama_cpp = False
    assert state.chat.chat.may_use_llama_cpp() is False


async def test_an_onnx_graph_is_refused_in_words_before_anything_is_loaded(
    user: User, talking: WindowState, tmp_path: Path
) -> None:
    graph = make_model(tmp_path / "graph")
    (tmp_path / "graph" / "model.safetensors").rename(tmp_path / "graph" / "model.onnx")
    talking.settings.model_folders = [*talking.settings.model_folders, graph]
    await open_tab(user, talking, "chat")
    await until(lambda: graph in talking.models.facts)
    assert talking.models.facts[graph].kind == "onnx"
    talking.talk_to(graph)
    await sees(user, "here it can be measured, but not trained, quantized or talked to.")
    user.find(marker="message").type("Hi").trigger("keydown.enter")
    assert not next(iter(user.find(marker="send").elements)).enabled
    assert not talking.chat.conversation.rounds
    talking.talk_to(talking.settings.model_folders[0])
    await until(lambda: next(iter(user.find(marker="send").elements)).enabled)


async def test_a_question_is_answered_by_the_real_process(user: User, state: WindowState) -> None:
    state.tab = "chat"
    await open_tab(user, state, "chat")
    await sees(user, "Talk to a model")
    user.find(marker="chat-demo").click()
    await sees(user, "What shall it answer?")
    choose(user, "temperature", "0")
    choose(user, "max_new_tokens", "12")
    user.find(marker="message").type("Who lives in Lindow?").trigger("keydown.enter")
    await until(lambda: state.chat.conversation.rounds and not state.chat.is_busy, 6 * PATIENT)
    answer = state.chat.conversation.rounds[0].answers[0]
    assert answer is not None and answer.said.tokens and not answer.problem
    await sees(user, answer.text.strip()[:20])
    await sees(user, "tokens/s")
    await sees(user, "is loaded:")
    await user.should_see(marker="free-model", retries=PATIENT)  # a moment later: not while an answer is made
    user.find(marker="free-model").click()
    await until(lambda: state.chat.chat.loaded is None)
    (file,) = paths.chats_dir().glob("*.json")
    assert "Who lives in Lindow?" in file.read_text()


async def test_conversations_are_kept_edited_corrected_and_saved(user: User, talking: WindowState) -> None:
    await open_tab(user, talking, "chat")
    await sees(user, "What shall it answer?")
    await talking.chat.send("first")
    await talking.chat.send("second")
    await sees(user, "one says yes to second")
    await talking.chat.ask_again(0, "another")
    assert [each.prompt for each in talking.chat.conversation.rounds] == ["another"]
    await sees(user, "one says yes to another")
    user.find(marker="correct-0-0").click()
    await user.should_see(marker="asked-text")
    user.find(marker="asked-text").clear().type("No.")
    user.find(marker="take-text").click()
    await sees(user, "corrected")
    user.find(marker="save-0-0").click()
    await until(paths.chat_answers_file().is_file)
    await sees(user, "Saved as a row")
    row = json.loads(paths.chat_answers_file().read_text())
    assert [turn["content"] for turn in row["messages"]] == ["another", "No."]
    user.find(marker="new-chat").click()
    await sees(user, "What shall it answer?")
    user.find(marker="open-chat").click()
    await sees(user, "No.")
    talking.chat.set_up(system="Be brief.")
    await talking.chat.send("third")
    sent = talking.chat.conversation.turns(0, 1)
    assert [turn.text for turn in sent] == ["Be brief.", "another", "No.", "third"]
    user.find(marker="train-next").click()
    await until(lambda: talking.tab == "finetune")
    assert talking.is_start_promised  # one click: the form starts by itself
    assert talking.data == str(paths.chat_answers_file())
    assert talking.model == talking.settings.model_folders[0]


async def test_what_was_saved_before_is_offered_to_train_on(user: User, state: WindowState) -> None:
    paths.chat_answers_file().parent.mkdir(parents=True, exist_ok=True)
    paths.chat_answers_file().write_text("{}\n", encoding="utf-8")
    await open_tab(user, state, "chat")
    await sees(user, "Train on answers")


async def test_trouble_is_told_where_the_answer_would_stand(user: User, talking: WindowState) -> None:
    await open_tab(user, talking, "chat")
    await sees(user, "What shall it answer?")
    await talking.chat.send("fail")
    await sees(user, "exit code -9")
    await talking.chat.send("go on")
    await sees(user, "one says yes to go on")
    assert [turn.text for turn in talking.chat.conversation.turns(0, 1)] == ["go on"]


async def test_models_are_compared_blind_and_the_vote_is_kept(user: User, talking: WindowState) -> None:
    await open_tab(user, talking, "chat")
    await sees(user, "What shall it answer?")
    await until(lambda: len(talking.models.facts) == 2)
    user.find(marker="add-model").click()
    choose(user, "blind", True)
    talking.chat.set_up(sampling=Sampling(seed=None))
    await talking.chat.send("who")
    first = talking.chat.conversation.rounds[0]
    assert len({answer.said.seed for answer in first.answers if answer}) == 1
    await sees(user, "A is better")
    await sees(user, "which one is told after your vote")
    await user.should_not_see(marker="save-0-0")
    user.find(marker="vote-0-1").click()
    await sees(user, "You found two best.")
    pair = json.loads(paths.chat_pairs_file().read_text())
    assert pair["chosen"][0]["content"] == "two says yes to who"
    assert pair["rejected"][0]["content"] == "one says yes to who"
    assert pair["prompt"] == [{"role": "user", "content": "who"}]
    await sees(user, "Kept your vote as a preference pair.")
    await sees(user, "Train on votes")
    user.find(marker="train-next").click()
    await until(lambda: isinstance(talking.prefill, FinetuneSpec) and talking.prefill.objective == "dpo")


async def test_a_vote_on_answers_in_the_same_words_makes_no_pair(user: User, talking: WindowState) -> None:
    await open_tab(user, talking, "chat")
    await until(lambda: len(talking.models.facts) == 2)
    one = Speaker(model=talking.settings.model_folders[0])
    talking.chat.set_up(speakers=(one, one))
    talking.chat.is_blind = True
    await talking.chat.send("who")
    await sees(user, "A is better")
    user.find(marker="vote-0-1").click()
    await sees(user, "Answers in the same words make no pair to train on.")
    assert not paths.chat_pairs_file().exists()


async def test_a_prompt_list_fills_a_table(user: User, talking: WindowState, tmp_path: Path) -> None:
    talking.settings.output_folder = str(tmp_path)
    await open_tab(user, talking, "chat")
    await sees(user, "What shall it answer?")
    await until(lambda: len(talking.models.facts) == 2)
    user.find(marker="add-model").click()
    assert talking.chat.conversation.speakers == tuple(Speaker(model=m) for m in talking.settings.model_folders)
    user.find(marker="prompt-list").click()
    await user.should_see(marker="prompts")
    user.find(marker="prompts").type("=one\ntwo, three")
    user.find(marker="run-prompts").click()
    await sees(user, "4 of 4 answers.")
    await sees(user, "two says yes to two, three")
    user.find(marker="save-csv").click()
    await user.should_see(marker="save-text")
    user.find(marker="save-text").click()
    await until((tmp_path / "prompts.csv").is_file)
    lines = (tmp_path / "prompts.csv").read_text().splitlines()
    assert lines[0] == "prompt,one,one: tokens,one: tokens/s,two,two: tokens,two: tokens/s"
    assert lines[1].startswith("'=one,one says yes to =one,5,5.00,")


async def test_an_adapter_is_talked_to_beside_itself_switched_off(
    user: User, talking: WindowState, tmp_path: Path
) -> None:
    adapter = str(write_adapter(tmp_path / "adapter", talking.settings.model_folders[0]))
    talking.models.add([adapter])
    await talking.models.read(adapter)
    await open_tab(user, talking, "chat")
    await sees(user, "What shall it answer?")
    talking.talk_to(adapter)
    await sees(user, "Mark differing words")
    await talking.chat.send("who")
    on, off = talking.chat.conversation.rounds[0].answers
    assert on and off and (on.speaker.adapter, off.speaker.adapter) == (True, False)
    await sees(user, "adapter, adapter off")
    assert talking.chat.chat.offer is not None
    talking.chat.chat.give_way()  # as when a job starts: programs may still ask
    assert talking.chat.chat.offer.name.endswith("adapter off")
