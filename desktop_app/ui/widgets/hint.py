"""A word that shows when something is pointed at.

Not `element.tooltip(...)`: it looks for its element in the document, where nothing of a tab is that was
redrawn while another one was shown.
"""

from typing import TypeVar

from nicegui import ui

_E = TypeVar("_E", bound=ui.element)


def hint(element: _E, text: str, classes: str = "") -> _E:
    """Show `text` while the pointer rests on `element`; return the element."""
    with element:
        tip = ui.tooltip(text).classes(classes)
    # A press may lead to another tab; what is gone from under the pointer would never hear that it has left.
    # The second time is for a press that is quicker than the hint.
    hide = f"() => [0, 300].forEach((wait_ms) => setTimeout(() => getElement({tip.id})?.hide(), wait_ms))"
    element.on("click", js_handler=hide)
    return element
