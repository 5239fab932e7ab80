"""Rows of several parts, for objectives that compare answers: a prompt with a chosen and a rejected answer, or with one
answer that was liked or not. Held compactly; columns have the names that trl's collators want.
"""

import hashlib
import random
from collections.abc import Callable, Iterator, Mapping, Sequence, Sized
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from desktop_app.domain.finetune_spec import Objective
from desktop_app.errors import DataError
from desktop_app.training_data.examples import Examples, bad_rows_sentence
from desktop_app.training_data.tokenization import AnswerTokens, Tokenization

from .token_rows import drawn_aside, left_out

Part = dict[str, Sequence[int] | bool]
_LOOK_EVERY_ROWS = 200


class AnswerRows:
    """Rows with the same columns: token ids by name, and a yes or no where there is one; `sources` as in TokenRows."""

    def __init__(self, rows: Sequence[Part], sources: Sequence[int] = ()) -> None:
        self._sources = sources
        self._rows: list[dict[str, NDArray[np.int32] | bool]] = [
            {name: value if isinstance(value, bool) else np.asarray(value, np.int32) for name, value in row.items()}
            for row in rows
        ]

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, row: int) -> dict[str, Any]:
        return {name: value if isinstance(value, bool) else value.tolist() for name, value in self._rows[row].items()}

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return (self[row] for row in range(len(self)))

    @property
    def lengths(self) -> list[int]:
        """Tokens that the model reads of each row: the prompt with each of its answers."""
        return [sum(_read(row)) for row in self._rows]

    @property
    def longest(self) -> int:
        """Tokens of the longest answer with its prompt: so wide is a batch."""
        return max((length for row in self._rows for length in _read(row)), default=0)

    @property
    def token_count(self) -> int:
        """Tokens that the model reads of all rows."""
        return sum(self.lengths)

    def fingerprint(self) -> str:
        """Hash the rows: the same rows in the same order give the same."""
        digest = hashlib.sha256()
        for row in self._rows:
            for name, value in row.items():
                digest.update(name.encode())
                digest.update(bytes([value]) if isinstance(value, bool) else value.tobytes() + b"|")
        return digest.hexdigest()

    def split(self, held_out: float, seed: int) -> tuple["AnswerRows", "AnswerRows"]:
        """Set a share of the rows aside, by a seeded draw, as TokenRows does."""
        train, aside = drawn_aside(self._sources or [0] * len(self), held_out, seed)
        return self.picked(train), self.picked(aside)

    def shuffled(self, seed: int) -> "AnswerRows":
        """Return the rows in another order, for a trainer that keeps the order it is given."""
        order = list(range(len(self)))
        random.Random(seed).shuffle(order)
        return self.picked(order)

    def picked(self, rows: Sequence[int]) -> "AnswerRows":
        """Return some of the rows, in this order."""
        found = AnswerRows([], [self._sources[row] for row in rows] if self._sources else ())
        found._rows = [self._rows[row] for row in rows]
        return found

    def table(self) -> pa.Table:
        """Hand the rows over as a table."""
        names = self._rows[0].keys()
        return pa.table({name: pa.array([row[name] for row in self._rows]) for name in names})


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedAnswers:
    """Rows, with what was left out on the way, in examples of the file; `bad` is a sentence."""

    rows: AnswerRows
    read: int
    cut: int
    without_answer: int
    unfit: int
    bad: str

    def sentences(self, max_length: int) -> list[str]:
        """Say what the user should know about the data, in order of weight."""
        return left_out(self.bad, self.without_answer, self.cut, self.read, max_length, self.unfit)


def answers_tokenized(
    examples: Examples,
    tokenization: Tokenization,
    max_length: int,
    objective: Objective,
    *,
    stop_at_bad: bool = False,
    look: Callable[[], None] = lambda: None,
) -> ComparedAnswers:
    """Turn examples into rows of one prompt and its answers; those with nothing left to compare are counted.

    Raises:
        DataError: no row is left, or the file cannot be read.
        ModelError: the tokenizer makes tokens that the model does not know.
    """
    rows: list[Part] = []
    sources: list[int] = []
    read = cut = empty = unfit = refused = 0
    for example in examples:
        if read % _LOOK_EVERY_ROWS == 0:
            look()
        read += 1
        if example.label is None if objective == "kto" else not example.is_pair:
            unfit += 1
            continue
        try:
            tokens = tokenization.answer_tokens(example)
        except DataError:
            if stop_at_bad:
                raise
            refused += 1
            continue
        row, is_cut = _row(tokens, objective, max_length)
        if row is None:
            empty += 1
            continue
        rows.append(row)
        sources.append(example.source)
        cut += is_cut
    if not rows:
        raise _nothing_to_compare(examples.name, objective, read, unfit, max_length)
    return ComparedAnswers(
        rows=AnswerRows(rows, sources if len(set(sources)) > 1 else ()),
        read=read,
        cut=cut,
        without_answer=empty,
        unfit=unfit,
        bad=bad_rows_sentence(examples, refused),
    )


def _read(row: Mapping[str, Sized | bool]) -> list[int]:
    """Tokens of each sequence that the model reads of a row."""
    counts = {name: len(value) for name, value in row.items() if not isinstance(value, bool)}
    prompt = counts.pop("prompt_ids", 0)
    return [prompt + answer for answer in counts.values()]


def _row(tokens: AnswerTokens, objective: Objective, max_length: int) -> tuple[Part | None, bool]:
    """Cut one example at the end; None if an answer is left without a token, whether anything was cut."""
    prompt, room = tokens.prompt_ids, max_length - len(tokens.prompt_ids)
    answer, rejected = tokens.answer_ids[: max(0, room)], tokens.rejected_ids[: max(0, room)]
    is_cut = len(answer) < len(tokens.answer_ids) or len(rejected) < len(tokens.rejected_ids)
    # The first token of all is never asked for: a prompt must stand before the answer.
    if not prompt or not answer:
        return None, is_cut
    if objective == "kto":
        return {"prompt_ids": prompt, "completion_ids": answer, "label": bool(tokens.label)}, is_cut
    if not rejected or answer == rejected:
        return None, is_cut
    if objective == "reward":
        return {"chosen_ids": prompt + answer, "rejected_ids": prompt + rejected}, is_cut
    return {"prompt_ids": prompt, "chosen_ids": answer, "rejected_ids": rejected}, is_cut


def _nothing_to_compare(name: str, objective: Objective, read: int, unfit: int, max_length: int) -> DataError:
    if unfit == read:
        wanted = "a liked or unliked answer (label)" if objective == "kto" else "a chosen and a rejected answer"
        return DataError(
            f"No row of {name} holds {wanted}, which the objective {objective!r} learns from.",
            "Choose preference data, or the objective 'sft'.",
        )
    return DataError(
        f"None of the {read:,} examples of {name} has answers left to compare within {max_length:,} tokens.",
        f"Raise max_length above {max_length:,}.",
    )
