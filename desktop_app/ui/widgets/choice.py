"""A choice of model or data file: the list, a button to look elsewhere, and what the chosen one is."""

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from nicegui import ui

from desktop_app.ui.summary import distinct_names

from .button import icon_button


class Choice:
    """A select with facts in grey below; `pick` asks the user for something that is not on the list."""

    def __init__(self, name: str, on_choose: Callable[[str], object], pick: Callable[[], Awaitable[None]]) -> None:
        self.on_choose = on_choose
        self._name = "a model" if name == "model" else name
        self._is_showing = False
        with ui.column().classes("gap-1 w-full min-w-0"):
            with ui.row().classes("w-full gap-2 no-wrap"):
                self.select = ui.select({}, on_change=self._chosen).classes("grow min-w-0").mark(f"choose-{name}")
                self.select.props["aria-label"] = name.capitalize()
                icon_button("o_folder_open", f"Choose another {name}", pick)
            self.facts = ui.label().classes("t-small c-3 min-h-4").mark(f"{name}-facts")

    def show(self, options: Mapping[str, str], chosen: str, facts: str, is_problem: bool = False) -> None:
        """Put the list, the chosen one and its facts into the widgets; hears nothing of it itself."""
        self._is_showing = True
        try:
            listed = dict(options) if not chosen or chosen in options else {**options, chosen: Path(chosen).name}
            known = distinct_names(listed)
            if known != self.select.options or (chosen or None) != self.select.value:
                self.select.set_options(known, value=chosen or None)
            self._prompt(not chosen)
            self.facts.set_text(facts)
            self.facts.classes(**_colour(is_problem))
        finally:
            self._is_showing = False

    def _prompt(self, is_empty: bool) -> None:
        """Say what to choose; only where that changes, for each change draws the open list anew."""
        if is_empty == ("display-value" in self.select.props):
            return
        if is_empty:
            self.select.props["display-value"] = f"Choose {self._name}"
        else:
            del self.select.props["display-value"]

    def _chosen(self) -> None:
        if not self._is_showing and self.select.value:
            self.on_choose(self.select.value)


def _colour(is_problem: bool) -> dict[str, str]:
    return {"add": "c-bad", "remove": "c-3"} if is_problem else {"add": "c-3", "remove": "c-bad"}
