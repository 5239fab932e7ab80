"""Programs that may use Whetstone: the switch, their tokens, and the pages that describe the API.

The files are small and local, but read and written in a thread all the same.
"""

import json
import webbrowser
from collections.abc import Callable

from nicegui import run, ui

from desktop_app.access_tokens import AccessToken, AccessTokens
from desktop_app.errors import AppError
from desktop_app.paths import api_file, tokens_file
from desktop_app.ui.window_state import WindowState

from .button import button, icon_button
from .copying import copy
from .dialog import answer_of
from .question import ask

_OFF = "Off: no other program can use Whetstone. The window itself is not affected."
_ON = "Programs on this computer that carry a token can do what you can do here."


class ProgramAccess:
    """The part of the settings about other programs; draws itself where it is made."""

    def __init__(self, state: WindowState) -> None:
        self.state = state
        self.access = AccessTokens(tokens_file())
        with ui.column().classes("gap-1 w-full") as self.root:
            switch = ui.checkbox("Let programs use Whetstone", value=self.access.is_on)
            switch.props("dense size=sm").mark("api")
            switch.on_value_change(lambda event: self._switch(event.value))
            self.note = ui.label().classes("t-small c-3")
            self.details = ui.column().classes("gap-0 w-full pt-1")
        self._show()

    def _show(self) -> None:
        is_on, tokens = self.access.is_on, self.access.tokens
        self.note.set_text(_ON if is_on else _OFF)
        self.details.clear()
        self.details.set_visibility(is_on)
        with self.details:
            ui.label(_address()).classes("t-mono c-2 truncate").mark("api-address")
            for token in tokens:
                self._row(token)
            with ui.row().classes("gap-2 -ml-3"):
                button("New token", kind="quiet", on_click=self._create)
                button("About the API", kind="quiet", on_click=self._open_pages)

    def _row(self, token: AccessToken) -> None:
        with ui.row().classes("w-full h-[30px] gap-3 items-center no-wrap"):
            ui.label(token.name).classes("truncate")
            ui.label(f"since {token.created}").classes("t-small c-3 whitespace-nowrap grow")
            revoke = icon_button("o_close", "Refuse this token from now on")
            revoke.on_click(lambda: self._revoke(token)).mark(f"revoke-{token.name}")

    async def _switch(self, on: bool) -> None:
        await self._do(lambda: self.access.switch(on))

    async def _revoke(self, token: AccessToken) -> None:
        text = f"Programs that use the token '{token.name}' are refused from now on. This cannot be taken back."
        with self.root:  # the button that was pressed is drawn anew meanwhile
            if await ask("Revoke the token?", text, ["Revoke", "Keep it"], safe="Keep it") == "Revoke":
                await self._do(lambda: self.access.revoke(token.id))

    async def _create(self) -> None:
        with self.root:
            await self._create_in_root()

    async def _create_in_root(self) -> None:
        with ui.dialog() as dialog, ui.card().classes("question"):
            ui.label("New token").classes("t-lead")
            ui.label("Who will hold it?").classes("c-2")
            name = ui.input(placeholder="notebook, editor, my script").classes("w-full")
            name.props('autofocus aria-label="Who will hold it?"').mark("token-name").on(
                "keydown.enter", lambda: dialog.submit(name.value)
            )
            with ui.row().classes("w-full justify-end gap-2 pt-2"):
                button("Cancel", on_click=lambda: dialog.submit(None))
                button("Create", kind="primary", on_click=lambda: dialog.submit(name.value))
        given = await answer_of(dialog)
        if given is None:
            return
        made: list[str] = []
        await self._do(lambda: made.append(self.access.create(str(given))))
        if made:
            await _show_once(made[0])

    async def _do(self, change: Callable[[], object]) -> None:
        """Change the file in a thread, say what went wrong, and show what stands there now."""
        try:
            await run.io_bound(change)
        except AppError as error:
            ui.notify(error.message, caption=error.hint)
        self._show()

    async def _open_pages(self) -> None:
        """In the native window the system's browser shows them, let in by a link of its own."""
        link = self.state.page_link
        if link is None:
            ui.navigate.to("/api/docs", new_tab=True)
        else:
            await run.io_bound(webbrowser.open, link("/api/docs"))


async def _show_once(token: str) -> None:
    with ui.dialog().props("persistent") as dialog, ui.card().classes("question"):
        ui.label("Copy the token now").classes("t-lead")
        ui.label("It is shown this once; afterwards only its hash is kept.").classes("c-2")
        with ui.row().classes("w-full gap-2 items-center no-wrap box p-2"):
            ui.label(token).classes("t-mono break-all grow").mark("token")
            icon_button("o_content_copy", "Copy token", lambda: copy(token, "Copied the token."))
        with ui.row().classes("w-full justify-end pt-2"):
            button("Done", kind="primary", on_click=lambda: dialog.submit(True))
    await answer_of(dialog)


def _address() -> str:
    try:
        return str(json.loads(api_file().read_text(encoding="utf-8"))["url"])
    except (OSError, ValueError, KeyError):
        return ""
