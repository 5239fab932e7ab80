"""Marked words: put together they are the text, and only what differs is marked."""

import pytest

from desktop_app.ui.word_difference import marked_words


@pytest.mark.parametrize(
    ("text", "other", "marked"),
    [
        ("the mill is old", "the mill is new", ["old"]),
        ("the mill is old", "the mill is old", []),
        ("a b\n\nc  d", "a c", ["b", "d"]),
        ("all of this is other", "nothing in common here", []),
        ("", "x", []),
    ],
)
def test_what_differs_is_marked(text: str, other: str, marked: list[str]) -> None:
    runs = marked_words(text, other)
    assert "".join(run for run, _ in runs) == text
    assert [run for run, differs in runs if differs] == marked, "without the spaces before them"
