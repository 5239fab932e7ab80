"""A log reads as in a terminal, however its bytes are cut, and never grows without bound."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from desktop_app.ui.log_text import MAX_LINE_CHARS, LogText


def fed(*pieces: bytes) -> LogText:
    log = LogText()
    for piece in pieces:
        log.feed(piece)
    return log


def test_whole_lines_and_the_open_one() -> None:
    log = fed(b"one\ntwo\nthr")
    assert list(log.lines) == ["one", "two"]
    assert log.shown_open_line == "thr"
    assert log.text() == "one\ntwo\nthr"


def test_a_progress_bar_keeps_only_its_last_state() -> None:
    log = fed(b"10 %\r50 %\r100 %\ndone\n")
    assert list(log.lines) == ["100 %", "done"]


def test_a_shorter_overwrite_leaves_the_rest_as_a_terminal_does() -> None:
    assert fed(b"abcdef\rXY").shown_open_line == "XYcdef"


def test_colours_and_titles_are_left_out() -> None:
    assert list(fed(b"\x1b[1;31mred\x1b[0m \x1b]0;title\x07plain\n").lines) == ["red plain"]


def test_a_return_cut_from_its_newline_is_no_overwrite() -> None:
    assert list(fed(b"kept\r", b"\nnext\r\n").lines) == ["kept", "next"]


def test_control_and_direction_characters_do_not_reach_the_page() -> None:
    assert list(fed("a\x00b\u202ec\n".encode()).lines) == ["abc"]


def test_broken_utf8_is_replaced_and_not_raised() -> None:
    assert list(fed(b"\xff\xfe ok\n").lines) == ["\ufffd\ufffd ok"]


def test_the_ring_keeps_the_newest_and_counts_all() -> None:
    log = LogText(max_lines=3)
    log.feed(b"".join(b"%d\n" % n for n in range(10)))
    assert list(log.lines) == ["7", "8", "9"]
    assert log.count == 10
    assert log.since(8) == ["8", "9"]
    assert log.since(2) == ["7", "8", "9"]
    assert log.since(10) == []


def test_an_endless_line_is_capped() -> None:
    log = LogText()
    for _ in range(100):
        log.feed(b"x" * 1000)
    assert len(log.open_line) <= 8 * MAX_LINE_CHARS
    log.feed(b"\n")
    assert len(log.lines[0]) == MAX_LINE_CHARS
    assert log.lines[0].endswith("…")


def test_an_endless_progress_bar_does_not_grow() -> None:
    log = LogText()
    for step in range(5000):
        log.feed(b"\r step %d of 5000" % step)
    assert log.shown_open_line == " step 4999 of 5000"
    assert len(log.open_line) <= 8 * MAX_LINE_CHARS


ANY_LOG = st.text(alphabet=st.sampled_from("ab\r\n\x1b[0;31m]ü€\t\x07\\"), max_size=60)


@given(ANY_LOG, st.lists(st.integers(0, 120), max_size=6))
def test_where_the_bytes_are_cut_does_not_matter(text: str, cuts: list[int]) -> None:
    data = text.encode() + b"\n"
    places = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    whole = fed(data)
    pieces = fed(*(data[start:end] for start, end in itertools.pairwise(places)))
    assert list(pieces.lines) == list(whole.lines)
    assert pieces.shown_open_line == whole.shown_open_line
