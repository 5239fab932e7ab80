"""Parts of sentences, as every layer says them."""

from collections.abc import Sequence


def list_text(words: Sequence[str]) -> str:
    """Join words as a sentence does: 'a, b and c'."""
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))
