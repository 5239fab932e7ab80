"""A word that shows when something is pointed at.

Not `element.tooltip(...)`: it looks for its element in the document, where nothing of a tab is that was
redrawn while another one was shown.
"""

from typing import TypeVar

from nicegui import ui

_E = TypeVar("_E", bound=ui.element)


def hint(element: _E, text: str) -> _E:
    """Show `text` while the pointer rests on `element`; return the element."""
    with element:
        ui.tooltip(text)
    return element
