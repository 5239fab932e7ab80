"""How long rows are in tokens, and what becomes of them in training: cut, padded, packed, trained on in how many steps.

Keeps counts of lengths, never the lengths of all rows. In large data the share of trained tokens is that of the
first rows, of one in eight batches after them, and of all that are cut.
"""

import math
from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from desktop_app.domain.data_choice import TokenChoice
from desktop_app.domain.data_report import TokenStatistics

from .tokenization import Encoded, Tokenization

HELD_OUT_AT_MOST = 512
_BINS = 24


@dataclass(slots=True)
class LengthCounts:
    """Take in encoded rows in file order; then ask for the `statistics`."""

    tokenization: Tokenization
    choice: TokenChoice
    max_length: int
    lengths: Counter[int] = field(default_factory=Counter)
    parts: Counter[int] = field(default_factory=Counter)
    trained: int = 0
    cut_rows: int = 0
    cut_tokens: int = 0
    without_answer: int = 0
    without_end: int = 0
    refused: int = 0
    pairs: int = 0
    notes: dict[str, None] = field(default_factory=dict)
    _batch: list[int] = field(default_factory=list)
    _padded: int = 0
    _looked_at: int = 0

    def add(self, encoded: Encoded) -> None:
        """Take in one row."""
        count = len(encoded.encoding)
        self.lengths[count] += 1
        self.pairs += encoded.example.is_pair
        if encoded.note:
            self.notes[encoded.note] = None
        if encoded.example.is_text:
            self._looked_at += count
            for start, end in self.tokenization.parts(count, self.max_length):
                self._add_part(end - start)
                self.trained += end - start
            return
        if not encoded.has_places:
            if count <= self.max_length:  # what it teaches is taken to be as in the rows with places
                self._add_part(count)
                return
            encoded = self.tokenization.encoded(encoded.example)  # what is cut is looked at in any case
        stretches = encoded.trained_tokens()
        kept = sum(max(0, min(end, self.max_length) - first) for first, end in stretches)
        # The first label is never asked for: a model predicts from the second token on.
        if not any(max(first, 1) < min(end, self.max_length) for first, end in stretches):
            self.without_answer += 1
            return
        if count > self.max_length:
            self.cut_rows += 1
            self.cut_tokens += count - self.max_length
        elif encoded.spans is not None and not self.tokenization.ends(encoded):
            self.without_end += 1
        self.trained += kept
        self._looked_at += min(count, self.max_length)
        self._add_part(min(count, self.max_length))

    def _add_part(self, count: int) -> None:
        self.parts[count] += 1
        self._batch.append(count)
        if len(self._batch) == self.choice.batch_size:
            self._close_batch()

    def _close_batch(self) -> None:
        if self._batch:
            self._padded += max(self._batch) * len(self._batch) - sum(self._batch)
            self._batch.clear()

    def statistics(self) -> TokenStatistics:
        """Put it together; what was taken in so far, if the data was not read to its end."""
        padded = self._padded + (max(self._batch) * len(self._batch) - sum(self._batch) if self._batch else 0)
        tokens = sum(length * count for length, count in self.parts.items())
        rows, blocks = sum(self.parts.values()), packed_blocks(self.parts, self.max_length)
        total = sum(self.lengths.values())
        of_pairs = 1 - self.pairs / total if total else 1.0  # both answers of a pair were counted, and make one row
        return TokenStatistics(
            model=self.choice.model,
            max_length=self.max_length,
            rows=total,
            trained_rows=rows,
            tokens=tokens,
            trained_tokens=round(self.trained * tokens / self._looked_at) if self._looked_at else 0,
            trained_is_estimate=self._looked_at < tokens,
            longest=max(self.lengths, default=0),
            median=_percentile(self.lengths, 0.5),
            percentile_95=_percentile(self.lengths, 0.95),
            histogram=_histogram(self.lengths),
            cut_rows=self.cut_rows,
            cut_tokens=self.cut_tokens,
            without_answer=self.without_answer,
            padding_share=padded / (padded + tokens) if tokens else 0.0,
            packed_share=1 - tokens / (blocks * self.max_length) if blocks else 0.0,
            packed_rows=blocks,
            steps=self._steps(round(rows * of_pairs)),
            packed_steps=self._steps(round(blocks * of_pairs)),
            refused=self.refused,
            notes=tuple(self.notes),
        )

    def _steps(self, rows: int) -> int:
        choice = self.choice
        aside = min(HELD_OUT_AT_MOST, max(1, round(choice.held_out * rows))) if choice.held_out and rows > 1 else 0
        per_epoch = math.ceil((rows - aside) / (choice.batch_size * choice.gradient_accumulation))
        return math.ceil(per_epoch * choice.epochs)


def packed_blocks(lengths: Mapping[int, int], block: int) -> int:
    """Return how many blocks rows of these lengths (and how many of each) fill, packed best-fit decreasing.

    Each length goes into the fullest block that still takes it, as in trl's `bfd` packing.
    """
    blocks = 0
    spaces: list[int] = []  # the different free spaces, sorted; how many blocks have each stands in `free`
    free: Counter[int] = Counter()

    def put(space: int, count: int) -> None:
        if space > 0 and count:
            if not free[space]:
                insort(spaces, space)
            free[space] += count

    for length, left in sorted(lengths.items(), reverse=True):
        while left:
            place = bisect_left(spaces, length)
            if place == len(spaces):  # no block has room: open new ones
                space, available = block, left
            else:
                space = spaces[place]
                available = free.pop(space)
                del spaces[place]
            each = max(1, space // length)
            used = min(available, math.ceil(left / each))
            if space == block:
                blocks += used
            else:
                put(space, available - used)
            full, rest = divmod(min(left, used * each), each)
            put(space - each * length, full)
            if rest:
                put(space - rest * length, 1)
            left -= full * each + rest
    return blocks


def _percentile(counts: Mapping[int, int], share: float) -> int:
    total, seen = sum(counts.values()), 0
    for length in sorted(counts):
        seen += counts[length]
        if seen >= share * total:
            return length
    return 0


def _histogram(counts: Mapping[int, int]) -> tuple[tuple[int, int], ...]:
    width = max(1, math.ceil(max(counts, default=0) / _BINS))
    bins: Counter[int] = Counter()
    for length, count in counts.items():
        bins[max(1, math.ceil(length / width))] += count
    return tuple((number * width, bins[number]) for number in range(1, max(bins, default=0) + 1))
