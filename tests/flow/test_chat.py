"""The real process of Chat: it streams, stops, is killed and told in words, and starts again."""

import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from desktop_app.domain.chat import Sampling, Speaker
from desktop_app.domain.data_report import Turn
from desktop_app.errors import ModelError, ServiceError
from desktop_app.paths import demo_model
from desktop_app.process import wait_until
from desktop_app.services.chat import Chat, Question
from desktop_app.services.client import CallCancelled
from tests.fakes.own_children import own_children

DEMO = Speaker(model=str(demo_model()))
TURNS = (Turn(role="user", text="Who lives in Lindow?"),)
LONG = Sampling(temperature=2, top_p=1, max_new_tokens=500, seed=3)


@pytest.fixture
def chat(data_dir: Path) -> Iterator[Chat]:
    chat = Chat()
    yield chat
    chat.free()


def test_an_answer_streams_is_stopped_and_survives_the_end_of_its_process(chat: Chat, tmp_path: Path) -> None:
    question, pieces = Question(), []
    question.on_piece = pieces.append
    assert chat.loaded is None
    answered = chat.ask(DEMO, TURNS, Sampling(temperature=0, max_new_tokens=16), question)
    assert answered.text == "".join(pieces) == question.text != ""
    assert chat.loaded and chat.loaded.memory_bytes > 1_000_000 and chat.loaded.model == DEMO.model

    stopped = Question()
    stopped.on_piece = lambda piece: chat.stop(stopped)
    answered = chat.ask(DEMO, TURNS, LONG, stopped)
    assert answered.finish == "stopped" and 0 < answered.tokens < 400

    early = Question()
    chat.stop(early)
    with pytest.raises(CallCancelled):
        chat.ask(DEMO, TURNS, LONG, early)

    with pytest.raises(ModelError, match="nothing-there"):
        chat.ask(Speaker(model=str(tmp_path / "nothing-there")), TURNS, LONG, Question())
    assert chat.loaded and chat.loaded.model == DEMO.model  # another one's trouble cost it nothing

    killed = Question()
    killed.on_piece = lambda piece: _worker().kill()
    with pytest.raises(ServiceError, match="was cut off") as caught:
        chat.ask(DEMO, TURNS, LONG, killed)
    assert "Ask again" in caught.value.hint and chat.loaded is None
    assert chat.ask(DEMO, TURNS, Sampling(max_new_tokens=4), Question()).tokens

    _a_question_that_waits_is_stopped_alone(chat)

    chat.free()
    assert chat.loaded is None and wait_until(lambda: not own_children("chat"), 10)


def _a_question_that_waits_is_stopped_alone(chat: Chat) -> None:
    first, second = Question(), Question()
    found: list[object] = []

    def ask_second() -> None:
        try:
            found.append(chat.ask(DEMO, TURNS, LONG, second))
        except ServiceError as error:
            found.append(error)

    waiting = threading.Thread(target=ask_second)

    def begin(piece: str) -> None:
        if not waiting.ident:
            waiting.start()
            chat.stop(second)

    first.on_piece = begin
    answered = chat.ask(DEMO, TURNS, LONG.model_copy(update={"max_new_tokens": 40, "temperature": 0.0}), first)
    waiting.join(30)
    assert answered.finish in ("end", "length")
    assert isinstance(found[0], CallCancelled)


def _worker() -> psutil.Process:
    (found,) = own_children("chat")
    return found
