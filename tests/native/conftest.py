"""The real native window on a screen of its own; skipped where the programs for that are missing."""

from collections.abc import Callable, Iterator

import pytest

from tests.native.screen import NativeWindow, Screen, missing_programs


@pytest.fixture
def screen() -> Iterator[Screen]:
    if missing := missing_programs():
        pytest.skip(f"not installed: {missing}")
    started = Screen()
    yield started
    started.close()


@pytest.fixture
def open_window(screen: Screen) -> Iterator[Callable[..., NativeWindow]]:
    """Open the window as often as wanted; everything is closed afterwards."""
    opened: list[NativeWindow] = []

    def opening(**options: object) -> NativeWindow:
        opened.append(NativeWindow(screen, **options))  # type: ignore[arg-type]
        return opened[-1].wait()

    yield opening
    for window in opened:
        window.close()
