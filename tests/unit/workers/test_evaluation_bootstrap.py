"""Intervals: as wide as theory says, the same every time, and none where one row is all."""

import numpy as np
import pytest

from desktop_app.workers.evaluation.bootstrap import mean_of, percentile_of, ratio_of


def test_the_interval_of_a_mean_is_that_of_theory() -> None:
    draw = np.random.default_rng(3)
    values = draw.normal(2.0, 1.0, 400)
    found = mean_of([values[i : i + 1] for i in range(400)])
    error = values.std(ddof=1) / 20
    assert found.value == pytest.approx(values.mean())
    assert found.low is not None and found.high is not None
    assert found.low == pytest.approx(values.mean() - 1.96 * error, abs=0.25 * error)
    assert found.high == pytest.approx(values.mean() + 1.96 * error, abs=0.25 * error)
    assert mean_of([values[i : i + 1] for i in range(400)]) == found


def test_rows_are_drawn_and_not_their_tokens() -> None:
    rows = [np.full(100, float(place % 2)) for place in range(20)]
    found = mean_of(rows)
    assert found.low is not None and found.low < 0.35, "2,000 independent tokens would give 0.48"


def test_one_row_has_no_interval() -> None:
    assert mean_of([np.array([1.0, 3.0])], np.exp).value == pytest.approx(np.exp(2.0))
    assert mean_of([np.array([1.0, 3.0])]).low is None


def test_weights_and_percentiles() -> None:
    assert ratio_of(np.array([1.0, 9.0]), np.array([1.0, 4.0])).value == 2.0
    rows = [np.arange(100.0), np.arange(100.0, 200.0)]
    assert percentile_of(rows, 99).value == pytest.approx(np.percentile(np.arange(200.0), 99))
