"""The conversations that were kept, newest first; on a narrow window they open in a dialog."""

import time

from nicegui import ui

from desktop_app.domain.conversation import Conversation, tally
from desktop_app.ui.chat_session import ChatSession
from desktop_app.ui.wording import when_text

from .button import button, icon_button
from .question import ask

_MOST_SHOWN = 200


class ChatList:
    """A pane at the left of a wide window."""

    def __init__(self, session: ChatSession) -> None:
        self.session = session
        self._key: object = None
        self._pane = ui.column().classes(
            "w-[200px] shrink-0 h-full rule-r overflow-y-auto no-wrap gap-0.5 p-2 max-[999px]:hidden"
        )

    def show(self) -> None:
        """Draw the list if it has changed; several models side by side need its room."""
        self._pane.set_visibility(len(self.session.conversation.speakers) < 2)
        shown = [(each.id, each.title, each.created) for each in self.session.all[:_MOST_SHOWN]]
        key = (shown, self.session.conversation.id, self.session.is_busy)
        if key == self._key:
            return
        self._key = key
        self._pane.clear()
        with self._pane:
            self._draw()

    def open_as_dialog(self) -> None:
        """Show the list over a narrow window."""
        with ui.dialog() as dialog, ui.card().classes("!w-[360px] !max-w-full") as card:
            card.props["aria-label"] = "Conversations"
            ui.label("Conversations").classes("t-lead")
            with ui.column().classes("w-full gap-0.5 max-h-[400px] overflow-y-auto no-wrap"):
                self._draw(dialog.close)
        dialog.on("hide", dialog.delete)
        dialog.open()

    def _draw(self, after: object = None) -> None:
        if not self.session.all:
            ui.label("Conversations are kept here.").classes("t-small c-3 p-2")
        for each in self.session.all[:_MOST_SHOWN]:
            self._draw_line(each, after)

    def _draw_line(self, each: Conversation, after: object) -> None:
        def choose() -> None:
            self.session.open(each.id)
            if callable(after):
                after()

        is_open = each.id == self.session.conversation.id
        with ui.row().classes(f"w-full no-wrap items-center gap-0 chat-line {'chosen' if is_open else ''}"):
            line = ui.button(color=None, on_click=choose).classes("btn-quiet chat-open grow min-w-0")
            line.props(f"align=left aria-current={'true' if is_open else 'false'}")
            line.mark("open-chat").set_enabled(not self.session.is_busy)
            with line, ui.column().classes("gap-0 items-start min-w-0 w-full"):
                ui.label(each.title).classes("truncate w-full text-left")
                ui.label(when_text(each.created, time.time())).classes("t-small c-3")
            icon_button("o_delete", f"Delete {each.title}", lambda: self._delete(each)).classes("shrink-0 chat-delete")

    async def _delete(self, each: Conversation) -> None:
        if self.session.is_busy:
            return
        text = f"“{each.title}” is removed from this computer."
        if await ask("Delete the conversation?", text, ("Delete", "Keep"), safe="Keep") == "Delete":
            await self.session.delete(each.id)


def show_tally(conversations: list[Conversation]) -> None:
    """Show how the votes of all conversations went."""
    with ui.dialog() as dialog, ui.card() as card:
        card.props["aria-label"] = "Votes so far"
        ui.label("Votes so far").classes("t-lead")
        rows = tally(conversations)
        if not rows:
            ui.label("No votes yet. Compare two models and switch on Blind.").classes("c-2")
        for name, won, count in rows:
            with ui.row().classes("w-full no-wrap gap-3 items-baseline"):
                ui.label(name).classes("grow min-w-0 truncate")
                ui.label(f"best in {won:,} of {count:,}").classes("c-2")
        with ui.row().classes("w-full justify-end"):
            button("Close", kind="primary", on_click=dialog.close)
    dialog.on("hide", dialog.delete)
    dialog.open()
