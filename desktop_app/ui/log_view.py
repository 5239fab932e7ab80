"""A job's log: follow, search, copy.

The lines go to the page as plain text in batches; `log_view.js` keeps them in a few text nodes.
Only what is new is sent, and everything once more when the page says that it fell behind.
"""

from typing import Any

from nicegui import events, ui
from nicegui.element import Element

from .log_text import LogText
from .widgets.button import icon_button
from .widgets.copying import copy


class LogLines(Element, component="log_view.js"):  # type: ignore[call-arg]  # seen as object: not followed
    """The scrolling text. `chunk` holds the lines that came last, with the number of the first of them."""

    def __init__(self) -> None:
        super().__init__()
        self._props.update({"chunk": None, "query": "", "filter": False, "follow": True})
        self._log = LogText()
        self._sent = 0
        self._seq = 0
        self._open_line = ""
        self.on("behind", lambda: self._send(is_whole=True))

    def show(self, log: LogText) -> None:
        """Show what is new in `log`; another log than before replaces everything."""
        is_other = log is not self._log
        self._log = log
        if is_other or log.count != self._sent or log.shown_open_line != self._open_line:
            self._send(is_whole=is_other)

    def _send(self, is_whole: bool) -> None:
        lines = list(self._log.lines) if is_whole else self._log.since(self._sent)
        start = self._log.count - len(lines)
        self._seq += 1
        self._sent, self._open_line = self._log.count, self._log.shown_open_line
        # A reader that fell out of the ring gets whole what is left of it.
        whole = is_whole or len(lines) == len(self._log.lines)
        self._props["chunk"] = {
            "seq": self._seq,
            "start": start,
            "lines": lines,
            "open": self._open_line,
            "whole": whole,
        }

    def set(self, **props: Any) -> None:
        """Change `query`, `filter` or `follow`."""
        self._props.update(props)

    def step(self, direction: int) -> None:
        """Go to the next (1) or previous (-1) match."""
        self.run_method("step", direction)


class LogView:
    """The box around the lines: its name, and what can be done with them."""

    def __init__(self, classes: str = "") -> None:
        with ui.column().classes(f"box w-full gap-0 no-wrap overflow-hidden {classes}"):
            with ui.row().classes("w-full items-center gap-2 pl-3 pr-1 h-8 shrink-0 rule-b no-wrap"):
                ui.label("Log").classes("t-lead")
                self._empty = ui.label("").classes("c-3 truncate")
                ui.space()
                self._draw_search()
                self._follow = ui.checkbox("Follow", value=True, on_change=self._set_follow).props("dense size=xs")
                icon_button("o_search", "Search the log", self._toggle_search)
                icon_button("o_content_copy", "Copy the log", self._copy)
            self.lines = LogLines().classes("grow w-full min-h-0")
        self.lines.on("follow", lambda event: self._follow.set_value(bool(event.args)))
        self.lines.on("found", lambda event: self._tell_found(event.args))
        self._log = LogText()

    def show(self, log: LogText, when_empty: str = "") -> None:
        """Show the newest lines of `log`; `when_empty` says why there are none."""
        self._log = log
        self.lines.show(log)
        self._empty.set_text("" if log.count or log.open_line else when_empty)

    def _draw_search(self) -> None:
        with ui.row().classes("items-center gap-1 no-wrap") as self._search:
            self._found = ui.label("").classes("t-small c-3 whitespace-nowrap")
            self._query = ui.input(placeholder="Search", on_change=self._set_query).classes("w-[140px] log-search")
            self._query.props('aria-label="Search the log" clearable debounce=150')
            self._query.on("keydown.enter", lambda: self.lines.step(-1)).on("keydown.esc", self._toggle_search)
            icon_button("o_keyboard_arrow_up", "Previous match", lambda: self.lines.step(-1))
            icon_button("o_keyboard_arrow_down", "Next match", lambda: self.lines.step(1))
            self._filter = ui.checkbox("Only matches", on_change=lambda event: self.lines.set(filter=event.value))
            self._filter.props("dense size=xs")
        self._search.set_visibility(False)

    def _toggle_search(self) -> None:
        shown = not self._search.visible
        self._search.set_visibility(shown)
        if shown:
            self._query.run_method("focus")
        else:
            self._query.set_value("")
            self._filter.set_value(False)

    def _set_query(self, event: events.ValueChangeEventArguments) -> None:
        self.lines.set(query=event.value or "")
        if not event.value:
            self._found.set_text("")

    def _set_follow(self, event: events.ValueChangeEventArguments) -> None:
        self.lines.set(follow=event.value)

    def _tell_found(self, found: dict[str, int]) -> None:
        if not self._query.value:
            self._found.set_text("")
        elif not found["total"]:
            self._found.set_text("none")
        else:
            self._found.set_text(f"{found['at']} of {found['total']}" if found["at"] else f"{found['total']}")

    async def _copy(self) -> None:
        await copy(self._log.text(), "Copied the newest lines of the log.")
