"""The bar with Start: it never moves, and when it cannot start it says what is missing."""

from collections.abc import Awaitable, Callable

from nicegui import ui

from .button import button
from .page import action_bar


class StartBar:
    """Start at the left with its reason beside it; `actions` draws the quiet buttons at the right."""

    def __init__(self, on_start: Callable[[], Awaitable[None]], actions: Callable[[], None]) -> None:
        self._on_start = on_start
        self._is_starting = False
        self._missing = ""
        with action_bar():
            self._button = button("Start", "o_play_arrow", "primary", self.start).mark("start")
            self._icon = ui.icon("o_error_outline").classes("c-bad text-[16px] -mr-1")
            self._note = ui.label().classes("c-2 line-clamp-2 min-w-0").mark("start-note")
            self._button.props["aria-describedby"] = self._note.html_id
            ui.space()
            actions()

    def show(self, missing: str, note: str, is_error: bool) -> None:
        """Say why it cannot start, or if it can, `note`: when it will."""
        self._missing = missing
        self._note.set_text(missing or note)
        self._icon.set_visibility(bool(missing) and is_error)
        self._button.set_enabled(not missing and not self._is_starting)

    async def start(self) -> None:
        """Start, unless that is on its way or something is missing."""
        # A second click may be on its way before the button is seen disabled.
        if self._is_starting or self._missing:
            return
        self._is_starting = True
        self._button.disable()
        try:
            await self._on_start()
        finally:
            self._is_starting = False
            self._button.set_enabled(not self._missing)
