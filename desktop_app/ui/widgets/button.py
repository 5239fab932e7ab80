"""Buttons: outlined by default, one primary per screen, quiet ones without a border, icons with a spoken name."""

from collections.abc import Callable
from typing import Any, Literal

from nicegui import ui

from .hint import hint

Kind = Literal["", "primary", "quiet"]


def button(
    text: str, icon: str | None = None, kind: Kind = "", on_click: Callable[..., Any] | None = None
) -> ui.button:
    """Draw a button whose `text` is a verb; a screen has at most one of kind 'primary'."""
    # NOTE: with a colour Quasar adds `text-white !important`, so the kinds are classes of the theme.
    return ui.button(text, icon=icon, color=None, on_click=on_click).classes(f"btn-{kind}" if kind else "")


def icon_button(icon: str, name: str, on_click: Callable[..., Any] | None = None) -> ui.button:
    """Draw a square button; `name` is its tooltip and its accessible name."""
    drawn = ui.button(icon=icon, color=None, on_click=on_click).classes("btn-quiet btn-icon")
    drawn.props["aria-label"] = name
    return hint(drawn, name)
