"""Whether an answer is right, and whether it is a refusal. Knows neither models nor tokens.

An answer of the file that cannot be judged by the chosen rule (no number in it) leaves its question unscored.
"""

import re
from collections.abc import Sequence

from desktop_app.domain.evaluate_spec import Scoring

_NUMBER = re.compile(r"[-+]?\d[\d,]*(?:\.\d+)?(?:[eE][-+]?\d+)?")
_LETTER = re.compile(r"(?<![A-Za-z0-9'])\(?([A-Za-z])(?=[).:,\s]|$)")
_SAID_LETTER = re.compile(r"\b(?:answer|option|choice)\s*(?:is|:)?\s*\(?([A-Z])\b", re.IGNORECASE)
_LONGEST = 4_000  # characters of an answer that a pattern is tried on: a clumsy one takes time that grows fast


def is_right(answer: str, expected: str, scoring: Scoring, pattern: str = "") -> bool | None:
    """Judge an answer; None where nothing is scored, or the expected one holds nothing to compare with."""
    if scoring == "none" or not expected.strip():
        return None
    if scoring == "exact":
        return _plain(answer) == _plain(expected)
    if scoring == "number":
        wanted, found = _last_number(expected), _last_number(answer)
        return None if wanted is None else found is not None and abs(found - wanted) <= 1e-9 * max(1.0, abs(wanted))
    if scoring == "choice":
        letter = _letter(expected)
        return None if letter is None else _letter(answer) == letter
    return _matched(answer, pattern) == (_matched(expected, pattern) or _plain(expected))


def is_refusal(answer: str, phrases: Sequence[str]) -> bool:
    """Whether an answer holds one of the phrases, in any case; typographic apostrophes count as plain ones."""
    text = answer.casefold().replace("\u2019", "'")
    return any(phrase.casefold().replace("\u2019", "'") in text for phrase in phrases if phrase.strip())


def _plain(text: str) -> str:
    return " ".join(text.casefold().split()).strip(" .!?\"'")


def _last_number(text: str) -> float | None:
    found = _NUMBER.findall(text)
    return float(found[-1].replace(",", "")) if found else None


def _letter(text: str) -> str | None:
    """Return the letter that an answer names: after 'answer is', else at its beginning, else the first capital."""
    said = _SAID_LETTER.search(text) or re.match(r"\s*\(?([A-Za-z])(?=[).:]|\s*$)", text)
    if said is not None:
        return said.group(1).upper()
    return next((letter for letter in _LETTER.findall(text) if letter.isupper() and letter != "I"), None)


def _matched(text: str, pattern: str) -> str | None:
    found = re.search(pattern, text[:_LONGEST])
    if found is None:
        return None
    return _plain(found.group(1 if found.re.groups else 0) or "")
