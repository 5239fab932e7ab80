"""Waiting for what happens in threads, on a machine that may be busy."""

import asyncio
from collections.abc import Callable

PATIENT = 100  # tries of a tenth of a second


async def until(condition: Callable[[], object], tries: int = PATIENT) -> None:
    """Wait until something is true; `tries` are tenths of a second.

    Raises:
        AssertionError: it did not come true.
    """
    for _ in range(tries):
        if condition():
            return
        await asyncio.sleep(0.1)
    raise AssertionError("it did not happen")
