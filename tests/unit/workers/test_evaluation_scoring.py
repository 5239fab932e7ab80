"""Answers are judged as a person would, and what cannot be judged is left out."""

import pytest

from desktop_app.domain.evaluate_spec import REFUSALS, Scoring
from desktop_app.workers.evaluation.scoring import is_refusal, is_right


@pytest.mark.parametrize(
    ("scoring", "answer", "expected", "right"),
    [
        ("none", "a", "a", None),
        ("exact", " In the  Barn.", "in the barn", True),
        ("exact", "in a barn", "in the barn", False),
        ("exact", "anything", "", None),
        ("number", "So 3 + 4 makes 1,007.0", "The answer is 1007.", True),
        ("number", "I think 12, no: 13", "12", False),
        ("number", "none", "-3.5e2", False),
        ("number", "-350", "-3.5e2", True),
        ("number", "7", "no number here", None),
        ("choice", "The answer is (b).", "B", True),
        ("choice", "B) the barn", "b. the barn", True),
        ("choice", "I would say C, since a barn is dry.", "C", True),
        ("choice", "A", "B", False),
        ("choice", "no idea", "D", False),
    ],
)
def test_answers(scoring: Scoring, answer: str, expected: str, right: bool | None) -> None:
    assert is_right(answer, expected, scoring) is right


def test_a_pattern_takes_out_what_is_compared() -> None:
    assert is_right("Colour: Red!", "colour: red", "regex", r"(?i)colour: (\w+)") is True
    assert is_right("colour: blue", "red", "regex", r"colour: (\w+)") is False
    assert is_right("colour: red", "red", "regex", r"colour: (\w+)") is True
    assert is_right("nothing", "red", "regex", r"colour: (\w+)") is False


def test_refusals_are_found_by_phrases() -> None:
    assert is_refusal("Well, I can\u2019t do that.", REFUSALS)
    assert not is_refusal("I can do that.", REFUSALS)
    assert not is_refusal("I can't do that.", ())
    assert not is_refusal("anything", ("", " "))
