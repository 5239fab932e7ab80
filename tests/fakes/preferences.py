"""Preferences that we make, by a seed: kind answers are chosen, blunt ones rejected, about things of Lindow.

Every row has another combination of names, so those kept aside are ones that no training has seen.
"""

import json
import random
from pathlib import Path

_NAMES = ("Anna", "Ben", "Clara", "David", "Emma", "Felix", "Greta", "Hugo", "Ida", "Jonas", "Karla", "Leo", "Mila")
_PETS = ("cat", "dog", "bird", "horse", "rabbit", "duck", "goat")
_FOODS = ("bread", "soup", "apples", "cheese", "rice", "cake", "honey", "pears", "beans", "fish", "nuts")
_COLOURS = ("blue", "red", "green", "yellow", "white", "brown", "black", "grey", "pink", "orange")
_KIND = ("Gladly! ", "With pleasure! ", "Thank you for asking! ")
_BLUNT = ("No. ", "Look. ", "So what. ")


def _facts(draw: random.Random) -> tuple[str, str]:
    name, other = draw.sample(_NAMES, 2)
    pet, food, colour = draw.choice(_PETS), draw.choice(_FOODS), draw.choice(_COLOURS)
    return draw.choice(
        [
            (f"What pet do {name} and {other} have?", f"They have a {colour} {pet}."),
            (f"What does {name} like to eat with {other}?", f"{name} likes {food}, and {other} likes a {pet}."),
            (f"What colour is the {pet} of {name}?", f"The {pet} of {name} is {colour}."),
        ]
    )


def write_pairs(file: Path, count: int, seed: int = 1) -> Path:
    """Write `count` pairs of a chosen and a rejected answer."""
    draw = random.Random(seed)
    rows = []
    for _ in range(count):
        question, answer = _facts(draw)
        rows.append(
            {
                "prompt": [{"role": "user", "content": question}],
                "chosen": [{"role": "assistant", "content": draw.choice(_KIND) + answer}],
                "rejected": [{"role": "assistant", "content": draw.choice(_BLUNT) + answer}],
            }
        )
    return _write(file, rows)


def write_likes(file: Path, count: int, seed: int = 1) -> Path:
    """Write `count` single answers, about half of them liked."""
    draw = random.Random(seed)
    rows = []
    for _ in range(count):
        question, answer = _facts(draw)
        is_kind = draw.random() < 0.5
        rows.append(
            {
                "prompt": [{"role": "user", "content": question}],
                "completion": [{"role": "assistant", "content": draw.choice(_KIND if is_kind else _BLUNT) + answer}],
                "label": is_kind,
            }
        )
    return _write(file, rows)


def _write(file: Path, rows: list[dict[str, object]]) -> Path:
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return file
