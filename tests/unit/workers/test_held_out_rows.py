"""The rows that are kept aside: drawn by a seed, of each file its share."""

import numpy as np
import pytest

from desktop_app.workers.answer_rows import AnswerRows
from desktop_app.workers.token_rows import HELD_OUT_AT_MOST, TokenRows, drawn_aside


@pytest.mark.parametrize(
    ("sizes", "share", "expected"),
    [
        ((100, 300, 40), 0.1, (10, 30, 4)),
        ((7, 7, 7), 0.1, (1, 1, 0)),  # two rows of three files: rounding cannot please all
        ((10_000, 5_000), 0.5, (341, 171)),  # never more than 512
        ((2,), 0.01, (1,)),
        ((1,), 0.5, (0,)),
        ((5, 5), 0.0, (0, 0)),
    ],
)
def test_each_file_gives_its_share(sizes: tuple[int, ...], share: float, expected: tuple[int, ...]) -> None:
    sources = [source for source, size in enumerate(sizes) for _ in range(size)]
    train, aside = drawn_aside(sources, share, 1)
    counts = tuple(sum(sources[row] == source for row in aside) for source in range(len(sizes)))
    assert counts == expected and sum(expected) <= HELD_OUT_AT_MOST
    assert sorted([*train, *aside]) == list(range(len(sources))), "every row is on one side"
    assert (train, aside) == drawn_aside(sources, share, 1), "the same seed draws the same rows"
    if 1 < sum(expected) < len(sources) - 1:
        assert aside != drawn_aside(sources, share, 2)[1]


def test_split_rows_are_the_rows_that_were_there() -> None:
    parts = [(np.arange(n, n + 3, dtype=np.int32), np.full(3, n, np.int32)) for n in range(20)]
    sources = [0] * 10 + [1] * 10
    answers = AnswerRows(
        [{"prompt_ids": [n], "completion_ids": [n, n], "label": n % 2 == 0} for n in range(20)], sources
    )
    for rows in (TokenRows(parts, sources), answers):
        train, aside = rows.split(0.2, 3)
        assert (len(train), len(aside)) == (16, 4)
        assert sorted([*map(str, train), *map(str, aside)]) == sorted(map(str, rows))
