"""Which words of an answer another one does not have, to mark them side by side."""

import re
from difflib import SequenceMatcher

_WORD = re.compile(r"\s*\S+|\s+$")
_MOST_WORDS = 4000
_LEAST_ALIKE = 0.15  # marks everywhere tell nothing


def marked_words(text: str, other: str) -> list[tuple[str, bool]]:
    """Split `text` into runs, each with whether its words differ from `other`; put together they are the text.

    Very long answers are not compared, for that takes longer than anybody waits; nor such that have nothing in common.
    """
    words, others = _WORD.findall(text), _WORD.findall(other)
    if max(len(words), len(others)) > _MOST_WORDS:
        return [(text, False)]
    matcher = SequenceMatcher(None, [word.strip() for word in words], [word.strip() for word in others], autojunk=False)
    if matcher.ratio() < _LEAST_ALIKE:
        return [(text, False)]
    runs: list[tuple[str, bool]] = []
    for kind, first, end, _, _ in matcher.get_opcodes():
        run = "".join(words[first:end])
        space = run[: len(run) - len(run.lstrip())]  # no word: a mark begins with its first letter
        runs += [
            (part, is_marked) for part, is_marked in ((space, False), (run[len(space) :], kind != "equal")) if part
        ]
    return runs
