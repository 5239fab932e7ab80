"""Thinning keeps what matters, smoothing is unbiased, a sparkline stays in its box."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from desktop_app.ui.curve import broken, change, finite, smoothed, sparkline, thinned

values = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=400)


@given(values, st.integers(4, 60))
def test_thinning_keeps_both_ends_and_the_extremes(numbers: list[float], limit: int) -> None:
    points = list(enumerate(numbers))
    kept = thinned(points, limit)
    assert len(kept) <= max(limit, 4)
    assert kept[0] == points[0]
    assert kept[-1] == points[-1]
    assert min(v for _, v in kept) == min(numbers)
    assert max(v for _, v in kept) == max(numbers)
    assert kept == sorted(set(kept))


def test_a_single_spike_in_a_hundred_thousand_points_stays() -> None:
    points = [(step, 1.0) for step in range(100_000)]
    points[70_123] = (70_123, 99.0)
    assert (70_123, 99.0) in thinned(points, 600)


def test_few_points_are_left_as_they_are() -> None:
    assert thinned([(1, 2.0), (2, 3.0)], 600) == [(1, 2.0), (2, 3.0)]


@given(st.floats(-1e3, 1e3), st.floats(0, 0.99))
def test_smoothing_a_constant_changes_nothing(level: float, weight: float) -> None:
    assert all(v == pytest.approx(level, abs=1e-6) for _, v in smoothed([(s, level) for s in range(50)], weight))


def test_smoothing_follows_the_formula() -> None:
    line = smoothed([(1, 1.0), (2, 2.0)], 0.5)
    assert line[0] == (1, 1.0)
    assert line[1][1] == pytest.approx((0.5 * 0.5 * 1 + 0.5 * 2) / (1 - 0.25))


def test_no_smoothing_is_the_raw_line() -> None:
    assert smoothed([(1, 5.0), (2, 1.0)], 0) == [(1, 5.0), (2, 1.0)]


def test_what_no_axis_can_show_is_left_out() -> None:
    assert finite([(1, math.nan), (2, 1.0), (3, math.inf)]) == [(2, 1.0)]


def test_change_compares_the_last_values_with_those_before() -> None:
    assert change([(1, 2.0)]) is None
    assert change([(1, 2.0), (2, 1.5)]) == pytest.approx(-0.5)
    assert change([(s, 1.0 if s < 30 else 3.0) for s in range(40)]) == pytest.approx(2.0)


@given(values)
def test_a_sparkline_stays_in_its_box(numbers: list[float]) -> None:
    text = sparkline(list(enumerate(numbers)), share=0.5)
    if len(numbers) < 2:
        assert text == ""
        return
    for pair in text.split():
        x, y = map(float, pair.split(","))
        assert 0 <= x <= 36.01
        assert 0 <= y <= 18


def test_a_line_is_broken_where_nothing_was_measured() -> None:
    before, after = [(float(at), 50.0) for at in range(400)], [(at + 30_000.0, 60.0) for at in range(200)]
    line = broken([*before, *after], 15, 150)
    gaps = [place for place, (_, value) in enumerate(line) if value is None]
    assert len(gaps) == 1 and line[gaps[0] - 1] == (399, 50) and line[gaps[0] + 1] == (30_000, 60)
    assert len(line) <= 151
    assert broken([], 15, 150) == []
