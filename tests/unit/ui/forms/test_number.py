"""Numbers are read as people write them, and nothing else is taken for one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from desktop_app.ui.forms.number import parse_number, shown_number


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1,024", 1024),
        ("1 024", 1024),
        ("1\u202f024", 1024),
        ("12,345,678", 12345678),
        ("1'024", 1024),
        ("2e-4", 0.0002),
        ("2E-4", 0.0002),
        ("0,0002", 0.0002),
        ("0,125", 0.125),
        ("1,5", 1.5),
        ("1,024.5", 1024.5),
        (" 3 ", 3),
        ("3.0", 3),
        ("2e3", 2000),
        (".5", 0.5),
        ("-1", -1),
    ],
)
def test_reads_what_people_write(text: str, number: float) -> None:
    parsed = parse_number(text)
    assert parsed == number
    assert type(parsed) is type(number)


@pytest.mark.parametrize(
    "text", ["", " ", "abc", "1.2.3", "1,2,3", "nan", "inf", "1e999", "0x10", "1_0", "3 rows", "٣", "--1"]
)
def test_refuses_what_is_no_number(text: str) -> None:
    with pytest.raises(ValueError):
        parse_number(text)


@pytest.mark.parametrize(
    ("number", "text"),
    [(1024, "1,024"), (0.0002, "0.0002"), (1e-05, "0.00001"), (32.0, "32"), (0.05, "0.05"), (1e-15, "1e-15"), (0, "0")],
)
def test_shows_numbers_readably(number: float, text: str) -> None:
    assert shown_number(number) == text


@given(st.one_of(st.integers(-(10**12), 10**12), st.floats(-1e9, 1e9).filter(lambda x: abs(x) > 1e-12 or x == 0)))
def test_shown_numbers_are_read_back(number: float) -> None:
    assert parse_number(shown_number(number)) == number
