"""Which processes a test has started: those that have ended and wait to be collected cannot say what they were."""

from contextlib import suppress

import psutil


def own_children(word: str) -> list[psutil.Process]:
    """Return the living children of this process that were started with `word` in their command line."""
    found = []
    for child in psutil.Process().children():
        with suppress(psutil.Error):
            if word in child.cmdline():
                found.append(child)
    return found
