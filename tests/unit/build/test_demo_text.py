"""The demo's text: small vocabulary, the same for the same seed, rows that add something to the base."""

import importlib.util
import re
import sys
from itertools import islice
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="module")
def demo_text() -> ModuleType:
    file = Path(__file__).parents[3] / "build" / "demo_text.py"
    spec = importlib.util.spec_from_file_location("demo_text", file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["demo_text"] = module
    spec.loader.exec_module(module)
    return module


def _words(texts: list[str]) -> set[str]:
    return {word for text in texts for word in re.findall(r"\w+", text)}


def _said(rows: list[dict[str, list[dict[str, str]]]], role: str) -> list[str]:
    return [message["content"] for row in rows for message in row["messages"] if message["role"] == role]


def test_the_same_seed_gives_the_same_text(demo_text: ModuleType) -> None:
    assert list(islice(demo_text.pretraining_text(3), 50)) == list(islice(demo_text.pretraining_text(3), 50))
    assert list(demo_text.chat_rows(3)) == list(demo_text.chat_rows(3))
    assert list(demo_text.chat_rows(3)) != list(demo_text.chat_rows(4))


def test_rows_ask_each_first_question_once_and_answer_last(demo_text: ModuleType) -> None:
    rows = list(demo_text.chat_rows(1))
    first = [next(m["content"] for m in row["messages"] if m["role"] == "user") for row in rows]
    assert len(rows) == 360
    assert len(set(first)) == 360
    assert {row["messages"][-1]["role"] for row in rows} == {"assistant"}


def test_the_vocabulary_is_a_few_hundred_words(demo_text: ModuleType) -> None:
    texts = list(demo_text.pretraining_text(1, documents=3000))
    rows = list(demo_text.chat_rows(1))
    assert 250 < len(_words(texts + _said(rows, "user") + _said(rows, "assistant"))) < 600


def test_only_the_rows_know_the_newcomers(demo_text: ModuleType) -> None:
    base = list(demo_text.pretraining_text(1, documents=3000))
    base += _said(list(demo_text.pretraining_chats(1)), "assistant")
    newcomers = {person.name for person in demo_text.NEWCOMERS}
    assert not newcomers & _words(base)
    assert newcomers <= _words(_said(list(demo_text.chat_rows(1)), "assistant"))


def test_sentences_are_whole(demo_text: ModuleType) -> None:
    for text in [*demo_text.pretraining_text(1, documents=500), *_said(list(demo_text.chat_rows(1)), "assistant")]:
        assert not re.search(r"\.\.|  | a [aeiou]|None", text), text
