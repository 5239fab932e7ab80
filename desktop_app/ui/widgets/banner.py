"""An error where it happened: what is wrong, what to do next, and the buttons that do it."""

from collections.abc import Callable, Mapping
from typing import Any

from nicegui import ui

from desktop_app.errors import AppError

from .button import button, icon_button


def error_banner(
    message: str,
    hint: str = "",
    actions: Mapping[str, Callable[..., Any]] | None = None,
    on_dismiss: Callable[[], Any] | None = None,
) -> ui.row:
    """Draw a banner that screen readers announce; `actions` maps verbs to what they do.

    With `on_dismiss` it can be closed: it goes away and the function is called.
    """
    with ui.row().classes("banner w-full no-wrap items-start gap-3").props("role=alert") as banner:
        ui.icon("o_error_outline").classes("c-bad text-[18px] mt-px").props("aria-hidden=true")
        with ui.column().classes("gap-1 min-w-0 grow"):
            ui.label(message).classes("font-semibold break-words")
            if hint:
                ui.label(hint).classes("c-2 break-words")
            if actions:
                with ui.row().classes("gap-2 pt-1"):
                    for verb, act in actions.items():
                        button(verb, on_click=act)
        if on_dismiss is not None:
            icon_button("o_close", "Dismiss", lambda: (banner.delete(), on_dismiss()))
    return banner


class BannerPlace:
    """A place at the top of a page where the newest error stands; empty it takes no room."""

    def __init__(self) -> None:
        self._place = ui.column().classes("w-full gap-0")
        self._place.set_visibility(False)

    def show(self, error: AppError, actions: Mapping[str, Callable[..., Any]] | None = None) -> None:
        """Show an error instead of the one before."""
        self._place.clear()
        with self._place:
            error_banner(error.message, error.hint, actions, on_dismiss=self.clear)
        self._place.set_visibility(True)

    def clear(self) -> None:
        """Take the error away."""
        self._place.clear()
        self._place.set_visibility(False)
