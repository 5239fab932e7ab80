"""The examples of a data file as token ids and labels, held compactly; made before torch is imported.

Both the preview in the window and the training come from the same tokenization, so a model learns exactly
what was shown. trl only collates these rows.
"""

import hashlib
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from desktop_app.errors import DataError
from desktop_app.training_data.examples import Examples, bad_rows_sentence
from desktop_app.training_data.tokenization import NOT_TRAINED, Tokenization

HELD_OUT_AT_MOST = 512
_LOOK_EVERY_ROWS = 200
_Part = tuple[NDArray[np.int32], NDArray[np.int32]]


class TokenRows:
    """Rows to train on or to measure with, joined end to end; row i is `starts[i]` to `starts[i + 1]`."""

    def __init__(self, parts: list[_Part], sources: Sequence[int] = ()) -> None:
        """Join rows, each of ids and labels; `sources` says from which file each came, if there are several."""
        self._sources = sources
        self.ids = np.concatenate([ids for ids, _ in parts]) if parts else np.empty(0, np.int32)
        self.labels = np.concatenate([labels for _, labels in parts]) if parts else np.empty(0, np.int32)
        self.starts = np.cumsum([0, *(len(ids) for ids, _ in parts)], dtype=np.int64)

    def __len__(self) -> int:
        return len(self.starts) - 1

    def __getitem__(self, row: int) -> dict[str, list[int]]:
        ids, labels = self._part(row)
        return {"input_ids": ids.tolist(), "labels": labels.tolist()}

    def __iter__(self) -> Iterator[dict[str, list[int]]]:
        return (self[row] for row in range(len(self)))

    @property
    def lengths(self) -> list[int]:
        """Tokens of each row."""
        return [int(length) for length in np.diff(self.starts)]

    @property
    def longest(self) -> int:
        """Tokens of the longest row."""
        return max(self.lengths, default=0)

    @property
    def token_count(self) -> int:
        """Tokens of all rows."""
        return len(self.ids)

    @property
    def trained_share(self) -> float:
        """Share of the tokens that are asked for, 0 to 1."""
        return float((self.labels != NOT_TRAINED).mean()) if len(self.labels) else 0.0

    def fingerprint(self) -> str:
        """Hash ids, labels and row borders: the same rows in the same order give the same."""
        digest = hashlib.sha256()
        for values in (self.ids, self.labels, self.starts):
            digest.update(values.tobytes())
        return digest.hexdigest()

    def table(self) -> "pa.Table":
        """Hand the rows over as a table, without copying them."""
        starts = pa.array(self.starts, pa.int32())
        columns = {"input_ids": self.ids, "labels": self.labels}
        return pa.table({name: pa.ListArray.from_arrays(starts, pa.array(flat)) for name, flat in columns.items()})

    def split(self, held_out: float, seed: int) -> tuple["TokenRows", "TokenRows"]:
        """Set a share of the rows aside, by a seeded draw: rows to train on, rows to measure with.

        Of each file the same share. At least one row where any is wanted, at most 512: more would cost time and
        tell no more.
        """
        train, aside = drawn_aside(self._sources or [0] * len(self), held_out, seed)
        return (self.picked(train), self.picked(aside)) if aside else (self, TokenRows([]))

    def picked(self, rows: Sequence[int]) -> "TokenRows":
        """Return some of the rows, in this order."""
        sources = [self._sources[row] for row in rows] if self._sources else ()
        return TokenRows([self._part(row) for row in rows], sources)

    def _part(self, row: int) -> _Part:
        if not 0 <= row < len(self):
            raise IndexError(row)
        where = slice(int(self.starts[row]), int(self.starts[row + 1]))
        return self.ids[where], self.labels[where]


def drawn_aside(sources: Sequence[int], held_out: float, seed: int) -> tuple[list[int], list[int]]:
    """Draw which rows to train on and which to keep aside, given the file that each comes from."""
    total = len(sources)
    count = min(HELD_OUT_AT_MOST, max(1, round(held_out * total))) if held_out > 0 and total > 1 else 0
    aside = _drawn(sources, count, random.Random(seed)) if count else set()
    return [row for row in range(total) if row not in aside], sorted(aside)


def _drawn(sources: Sequence[int], count: int, draw: random.Random) -> set[int]:
    """Draw `count` rows, of each source its share; what is left over by rounding goes to the largest remainders."""
    rows: dict[int, list[int]] = {}
    for row, source in enumerate(sources):
        rows.setdefault(source, []).append(row)
    shares = {source: count * len(own) / len(sources) for source, own in rows.items()}
    counts = {source: int(share) for source, share in shares.items()}
    for source in sorted(shares, key=lambda source: counts[source] - shares[source])[: count - sum(counts.values())]:
        counts[source] += 1
    return {row for source, own in rows.items() for row in draw.sample(own, counts[source])}


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokenized:
    """Rows, with what was left out on the way, in examples of the file; `bad` and `notes` are for the user."""

    rows: TokenRows
    read: int
    cut: int
    without_answer: int
    bad: str
    notes: tuple[str, ...]

    def sentences(self, max_length: int) -> list[str]:
        """Say what the user should know about the data, in order of weight."""
        return [*left_out(self.bad, self.without_answer, self.cut, self.read, max_length), *self.notes]


def left_out(bad: str, without_answer: int, cut: int, read: int, max_length: int, unfit: int = 0) -> list[str]:
    """Say what of the data is not learned from, or not whole, in order of weight; what is 0 or '' is not said."""
    said = (
        (bad, bad),
        (unfit, f"{unfit:,} examples are left out: they do not hold the answers that this objective asks."),
        (without_answer, f"{without_answer:,} examples are left out: no answer remains in {max_length:,} tokens."),
        (cut, f"{cut:,} of {read:,} examples are longer than {max_length:,} tokens and were cut."),
    )
    return [sentence for is_so, sentence in said if is_so]


def tokenized(
    examples: Examples,
    tokenization: Tokenization,
    max_length: int,
    *,
    stop_at_bad: bool = False,
    look: Callable[[], None] = lambda: None,
) -> Tokenized:
    """Turn examples into rows; those in which nothing is left to learn are dropped and counted.

    `stop_at_bad`: raise where the chat template refuses a conversation, instead of counting it. `look` is called
    now and then.

    Raises:
        DataError: no row is left, or the file cannot be read.
        ModelError: the tokenizer makes tokens that the model does not know.
    """
    parts: list[_Part] = []
    sources: list[int] = []
    read = cut = empty = refused = 0
    notes: dict[str, None] = {}
    for encoded in tokenization.encoded_many(examples):
        if read % _LOOK_EVERY_ROWS == 0:
            look()
        read += 1
        if isinstance(encoded, DataError):
            if stop_at_bad:
                raise encoded
            refused += 1
            continue
        split = tokenization.split(encoded, max_length)
        # The first label is never asked for: a model predicts from the second token on.
        taught = [tokens for tokens in split if any(label != NOT_TRAINED for label in tokens.labels[1:])]
        empty += not taught
        cut += any(tokens.cut for tokens in taught)
        notes.update((tokens.note, None) for tokens in taught if tokens.note)
        parts += [(np.asarray(t.input_ids, np.int32), np.asarray(t.labels, np.int32)) for t in taught]
        sources += [encoded.example.source] * len(taught)
    if not parts:
        raise _nothing_left(examples.name, read, refused, max_length)
    return Tokenized(
        rows=TokenRows(parts, sources if len(set(sources)) > 1 else ()),
        read=read,
        cut=cut,
        without_answer=empty,
        bad=bad_rows_sentence(examples, refused),
        notes=tuple(notes),
    )


def _nothing_left(name: str, read: int, refused: int, max_length: int) -> DataError:
    if refused == read:
        return DataError(
            f"The model's chat template refuses all {read:,} examples of {name}.",
            "Look in the preview why; some models take no system text, or want question and answer in turn.",
        )
    return DataError(
        f"None of the {read:,} examples of {name} has an answer left within {max_length:,} tokens.",
        f"Raise max_length above {max_length:,}, or look in the preview which part of a row is the answer.",
    )
