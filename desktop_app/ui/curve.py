"""Turn a run's points into a line that a chart can draw: thinned, smoothed, or as a sparkline.

Knows nothing of jobs or of the chart library. Points are (step, value) with rising steps.
"""

import math
from collections.abc import Sequence

from desktop_app.domain.run_record import Point


def finite(points: Sequence[Point]) -> list[Point]:
    """Leave out values that no axis can show (NaN, infinite)."""
    return [point for point in points if math.isfinite(point[1])]


def thinned(points: Sequence[Point], limit: int) -> list[Point]:
    """Return at most `limit` (4 or more) of the points: the first, the last, and the extremes of equal stretches.

    A single spike therefore stays visible however long the run is.
    """
    if len(points) <= limit:
        return list(points)
    buckets = (limit - 2) // 2
    inner = len(points) - 2
    kept = [points[0]]
    for bucket in range(buckets):
        start, end = 1 + bucket * inner // buckets, 1 + (bucket + 1) * inner // buckets
        values = [point[1] for point in points[start:end]]
        low, high = start + values.index(min(values)), start + values.index(max(values))
        kept += [points[place] for place in sorted({low, high})]
    return [*kept, points[-1]]


def broken(points: Sequence[Point], longest: float, limit: int) -> list[tuple[float, float | None]]:
    """Thin the points and break the line where two lie further apart than `longest`: nothing was measured there."""
    parts: list[list[Point]] = []
    for point in points:
        if not parts or point[0] - parts[-1][-1][0] > longest:
            parts.append([])
        parts[-1].append(point)
    line: list[tuple[float, float | None]] = []
    for part in parts:
        line += [(line[-1][0], None)] if line else []
        line += thinned(part, max(4, limit * len(part) // len(points)))
    return line


def smoothed(points: Sequence[Point], weight: float) -> list[Point]:
    """Average each value with its past: exponential moving average, corrected for its start.

    `weight` (0 to below 1) is the share of the past; the correction is Adam's (Kingma & Ba 2015, section 3).
    """
    if weight <= 0:
        return list(points)
    total, share, line = 0.0, 1.0, []
    for step, value in points:
        total = weight * total + (1 - weight) * value
        share *= weight
        line.append((step, total / (1 - share)))
    return line


def change(points: Sequence[Point], window: int = 10) -> float | None:
    """Say how much the mean of the last `window` values differs from the mean of those before; None if too few."""
    count = min(window, len(points) // 2)
    if count < 1:
        return None
    values = [point[1] for point in points[-2 * count :]]
    return (sum(values[count:]) - sum(values[:count])) / count


def sparkline(points: Sequence[Point], width: int = 72, height: int = 18, share: float = 1.0) -> str:
    """Write the points as an SVG polyline in a `width` x `height` box; '' if there are fewer than two.

    `share` (0 to 1) is the part of the width that is used, for a run that ended early.
    """
    shown = thinned(finite(points), 48)
    if len(shown) < 2:
        return ""
    first, last = shown[0][0], shown[-1][0]
    low, high = min(value for _, value in shown), max(value for _, value in shown)
    across = width * max(0.1, min(1.0, share)) / ((last - first) or 1)
    span = (high - low) or 1
    return " ".join(
        f"{(step - first) * across:.1f},{1.5 + (high - value) / span * (height - 3):.1f}" for step, value in shown
    )
