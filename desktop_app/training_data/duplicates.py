"""Which rows say the same, in memory that does not grow beyond a bound whatever the data holds."""

from array import array
from collections import Counter
from collections.abc import Sequence
from typing import Any

from desktop_app.domain.data_report import Turn

ROWS_AT_MOST = 5_000_000
_PARTS = 32
_PIECE = 1 << 16
_ANSWERS_AT_MOST = 100_000


def fingerprint(turns: Sequence[Turn]) -> int:
    """Return a number that is the same for the same turns, within this process."""
    return hash(tuple((turn.role, turn.text, turn.calls) for turn in turns)) & 0xFFFF_FFFF_FFFF_FFFF


class Copies:
    """Fingerprints of rows in their order; twelve bytes each, and no more than five million."""

    def __init__(self) -> None:
        self._seen = array("Q")
        self._numbers = array("L" if array("L").itemsize == 4 else "I")
        self._starts: list[tuple[int, int]] = []  # from which row on which source

    def add(self, value: int, source: int, number: int) -> None:
        """Note the next row, and where it stands."""
        if len(self._seen) < ROWS_AT_MOST:
            if not self._starts or self._starts[-1][1] != source:
                self._starts.append((len(self._seen), source))
            self._seen.append(value)
            self._numbers.append(number)

    @property
    def is_full(self) -> bool:
        """Whether further rows are no longer looked at."""
        return len(self._seen) >= ROWS_AT_MOST

    def later_ones(self, shown: int) -> tuple[int, list[tuple[int, int]]]:
        """Return how many rows repeat an earlier one, and source and number of the first `shown` of them."""
        import numpy as np

        values = np.frombuffer(self._seen, dtype=np.uint64)
        count = 0
        places: list[int] = []
        for part in range(_PARTS):  # part by part, so that little more than the fingerprints is held
            inside = _indices(values, part)
            own = values[inside]
            order = np.argsort(own, kind="stable")
            later = order[1:][own[order[1:]] == own[order[:-1]]]
            count += len(later)
            places += inside[np.sort(later)[:shown]].tolist()
        return count, [(self._source_at(index), self._numbers[index]) for index in sorted(places)[:shown]]

    def _source_at(self, index: int) -> int:
        return next(source for start, source in reversed(self._starts) if start <= index)


def _indices(values: Any, part: int) -> Any:
    """Return where the fingerprints of one part stand; looked for piece by piece."""
    import numpy as np

    shift = np.uint64(64 - _PARTS.bit_length() + 1)
    found = [
        np.flatnonzero((values[start : start + _PIECE] >> shift) == part).astype(np.uint32) + np.uint32(start)
        for start in range(0, len(values), _PIECE)
    ]
    return np.concatenate(found) if found else np.empty(0, np.uint32)


class FrequentAnswers:
    """The answers that many rows share; rare ones are forgotten when there are too many to keep."""

    def __init__(self) -> None:
        self._counts: Counter[int] = Counter()
        self._first: dict[int, tuple[int, int, str]] = {}

    def add(self, answer: str, source: int, number: int) -> None:
        """Note the answer of row `number` of a source."""
        value = hash(answer)
        count = self._counts[value] = self._counts[value] + 1
        if count == 2:
            self._first[value] = (source, number, answer[:200])
        if len(self._counts) > _ANSWERS_AT_MOST:
            self._counts = Counter({value: count for value, count in self._counts.items() if count > 1})
            if len(self._counts) > _ANSWERS_AT_MOST // 2:
                self._counts = Counter(dict(self._counts.most_common(_ANSWERS_AT_MOST // 4)))
            self._first = {value: first for value, first in self._first.items() if value in self._counts}

    def most_frequent(self) -> tuple[int, int, int, str]:
        """Return how many rows share the most frequent answer, source and number of one, and the answer's start."""
        for value, count in self._counts.most_common(1):
            if value in self._first:
                return count, *self._first[value]
        return 0, 0, 0, ""
