"""Intervals by bootstrap: rows are drawn with replacement, for tokens of one row depend on each other.

The percentile method of Efron and Tibshirani (1993), chapter 13; a fixed seed, so the same figures come out again.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from desktop_app.domain.evaluation import Estimate

_SAMPLES = 1000
_SEED = 20_000
_Array = NDArray[np.float64]


def mean_of(rows: Sequence[_Array], shape: Callable[[_Array], _Array] = lambda values: values) -> Estimate:
    """Estimate the mean over all values of all rows; `shape` is applied to the mean, `np.exp` for a perplexity."""
    sums = np.array([row.sum() for row in rows])
    counts = np.array([len(row) for row in rows], np.float64)
    return ratio_of(sums, counts, shape)


def ratio_of(
    above: _Array, below: _Array, shape: Callable[[_Array], _Array] = lambda values: values
) -> Estimate:  # fmt: skip
    """Estimate a sum over another sum, given both for each row."""
    value = float(shape(np.array(above.sum() / below.sum())))
    if len(above) < 2:
        return Estimate(value=value)
    drawn = _drawn(len(above))
    totals = below[drawn].sum(1)
    means = above[drawn].sum(1)[totals > 0] / totals[totals > 0]
    return _between(value, shape(means))


def percentile_of(rows: Sequence[_Array], percent: float) -> Estimate:
    """Estimate a percentile over all values of all rows."""
    value = float(np.percentile(np.concatenate(rows), percent))
    if len(rows) < 2:
        return Estimate(value=value)
    chosen = _drawn(len(rows))[: _SAMPLES // 4]  # each sorts all values
    return _between(
        value, np.array([np.percentile(np.concatenate([rows[i] for i in draw]), percent) for draw in chosen])
    )


def _drawn(rows: int) -> NDArray[np.int64]:
    return np.random.default_rng(_SEED).integers(0, rows, (_SAMPLES, rows))


def _between(value: float, samples: _Array) -> Estimate:
    low, high = np.percentile(samples, (2.5, 97.5))
    return Estimate(value=value, low=float(low), high=float(high))
