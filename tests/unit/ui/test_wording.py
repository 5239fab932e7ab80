"""Numbers and times read as a person would say them."""

import math
from datetime import datetime

import pytest

from desktop_app.ui.wording import (
    duration_text,
    memory_text,
    number_text,
    share_text,
    size_text,
    time_left_text,
    when_text,
)

NOW = datetime(2026, 11, 21, 16, 0).timestamp()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (0, "0"),
        (2310.4, "2,310"),
        (560, "560"),
        (1.2139, "1.214"),
        (123.45, "123.5"),
        (0.00014, "1.4e-4"),
        (0.0002, "2e-4"),
        (-1.5, "-1.500"),
        (math.nan, "not a number"),
        (math.inf, "∞"),
    ],
)
def test_numbers(value: float | None, text: str) -> None:
    assert number_text(value) == text


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1500, "1.5 kB"),
        (74_000_000, "74 MB"),
        (3_100_000_000, "3.1 GB"),
        (999_999_999, "1.0 GB"),
    ],
)
def test_sizes(size: int, text: str) -> None:
    assert size_text(size) == text


def test_memory_is_told_in_the_unit_it_is_sold_in() -> None:
    assert share_text(6.1 * 2**30, 8 * 2**30) == "6.1 of 8.0 GB"
    assert [memory_text(size) for size in (0, 1, 74 * 2**20, 2**30, 16 * 2**30)] == [
        "0 MB",
        "1 MB",
        "74 MB",
        "1.0 GB",
        "16.0 GB",
    ]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, ""),
        (0.4, "0 s"),
        (40, "40 s"),
        (120, "2 min"),
        (1080, "18 min"),
        (3599, "1 h 00 min"),
        (4320, "1 h 12 min"),
        (183_600, "2 d 3 h"),
        (math.inf, ""),
    ],
)
def test_durations(seconds: float | None, text: str) -> None:
    assert duration_text(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, ""),
        (-1, ""),
        (math.nan, ""),
        (3, "a few seconds left"),
        (42, "40 s left"),
        (1080, "18 min left"),
    ],
)
def test_time_left(seconds: float | None, text: str) -> None:
    assert time_left_text(seconds) == text


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (datetime(2026, 11, 21, 15, 29), "today 15:29"),
        (datetime(2026, 11, 20, 22, 15), "Fri 22:15"),
        (datetime(2026, 11, 7, 19, 31), "7 Nov 19:31"),
        (datetime(2025, 11, 17, 19, 31), "17 Nov 2025"),
    ],
)
def test_when(moment: datetime, text: str) -> None:
    assert when_text(moment.timestamp(), NOW) == text
