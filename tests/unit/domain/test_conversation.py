"""What others read of a conversation: turns, rows, pairs, the tally, Markdown."""

from desktop_app.domain.chat import Answered, Speaker
from desktop_app.domain.conversation import (
    Answer,
    Conversation,
    Round,
    markdown,
    messages,
    preference_pairs,
    tally,
    whole_messages,
)

ONE, TWO = Speaker(model="/one"), Speaker(model="/two", adapter=False)


def answer(speaker: Speaker, text: str, **more: str) -> Answer:
    return Answer(speaker=speaker, name=speaker.model[1:], said=Answered(text=text), **more)


def conversation(**last: object) -> Conversation:
    first = Round(prompt="a", answers=(answer(ONE, "1a"), answer(TWO, "2a")), order=(1, 0))
    second = Round(prompt="b", answers=(answer(ONE, "1b", correction="1c"), answer(TWO, "2b")), **last)
    return Conversation(system="s", speakers=(ONE, TWO), rounds=(first, second))


def test_each_model_reads_its_own_answers_as_they_were_corrected() -> None:
    whole = conversation()
    assert [turn.text for turn in whole.turns(1, 1)] == ["s", "a", "2a", "b"]
    assert [turn["content"] for turn in messages(whole, 0, 1)] == ["s", "a", "1a", "b", "1c"]
    third = whole.model_copy(update={"rounds": (*whole.rounds, Round(prompt="c"))})
    assert [turn.text for turn in third.turns(0, 2)] == ["s", "a", "1a", "b", "1c", "c"]
    assert [turn.text for turn in third.turns(2, 2)] == ["s", "a", "1a", "b", "1c", "c"]  # a column that joined later
    assert whole_messages(third, 1)[-1] == {"role": "assistant", "content": "2b"}


def test_an_answer_that_failed_is_left_out_of_what_is_read_and_learned() -> None:
    broken = conversation().with_answer(0, 0, answer(ONE, "half", problem="It ended."))
    assert [turn.text for turn in broken.turns(0, 1)] == ["s", "b"]
    voted = broken.with_round(0, vote=1)
    assert preference_pairs(voted, 0) == []


def test_a_vote_is_one_pair_for_each_other_answer() -> None:
    voted = conversation(vote=1)
    (pair,) = preference_pairs(voted, 1)
    assert [turn["content"] for turn in pair["prompt"]] == ["s", "a", "2a", "b"]
    assert (pair["chosen"][0]["content"], pair["rejected"][0]["content"]) == ("2b", "1c")
    assert preference_pairs(conversation(vote=-1), 1) == [] == preference_pairs(conversation(), 1)
    assert tally([voted, conversation(vote=-1)]) == [("two", 1, 2), ("one", 0, 2)]


def test_it_is_kept_and_read_back_and_written_to_be_read() -> None:
    whole = conversation(vote=0, is_blind=True)
    assert Conversation.model_validate_json(whole.model_dump_json()) == whole
    text = markdown(whole)
    assert text.startswith("# a\n") and "**two**\n\n2b" in text and "1c" in text and "1b" not in text
