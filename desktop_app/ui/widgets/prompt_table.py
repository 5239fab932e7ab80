"""A list of prompts put to all chosen models, in a table that fills as they answer; saved as CSV."""

from nicegui import background_tasks, ui

from desktop_app.ui.chat_session import ChatSession
from desktop_app.ui.prompt_run import PromptRun

from .button import button
from .dialog import put_away
from .save_text import save_text

_LOOK_S = 0.3
_MOST_PROMPTS = 1000


async def run_prompt_list(session: ChatSession, folder: str) -> None:
    """Show the dialog; the run ends with it."""
    table = _PromptTable(session, folder)
    await table.dialog
    if table.running is not None:
        table.running.stop()
    put_away(table.dialog)


class _PromptTable:
    def __init__(self, session: ChatSession, folder: str) -> None:
        self.session = session
        self.folder = folder
        self.running: PromptRun | None = None
        self.is_going = False
        self._labels: dict[tuple[int, int], ui.label] = {}
        with (
            ui.dialog().props("persistent") as self.dialog,
            ui.card().classes("!w-[960px] !max-w-[calc(100vw-48px)] h-[calc(100vh-96px)] no-wrap") as card,
        ):
            card.props["aria-label"] = "Prompt list"
            ui.label("Prompt list").classes("t-lead")
            self.note = ui.label("One prompt in each line. Every chosen model answers all of them.").classes("c-2")
            with ui.column().classes("w-full grow min-h-0 overflow-auto no-wrap gap-0") as self.body:
                self.text = ui.textarea(placeholder="Who lives in Lindow?\nWhere is the mill?").classes("w-full")
                self.text.props('outlined dense autofocus rows=12 aria-label="Prompts"').mark("prompts")
            with ui.row().classes("w-full justify-end gap-2"):
                button("Close", kind="quiet", on_click=self.dialog.close)
                self.save = button("Save as CSV", on_click=self._save).mark("save-csv")
                self.end = button("Stop", "o_stop", on_click=self._stop)
                self.start = button("Run", "o_play_arrow", "primary", self._start).mark("run-prompts")
            ui.timer(_LOOK_S, self._look)
        self._look()
        self.dialog.open()

    def _start(self) -> None:
        prompts = [line.strip() for line in str(self.text.value or "").splitlines() if line.strip()]
        if not prompts or self.is_going:
            return
        speakers = self.session.conversation.speakers
        names = [self.session.name_of(speaker) for speaker in speakers]
        self.running = PromptRun(self.session.chat, prompts[:_MOST_PROMPTS], speakers, names)
        self._draw_table(self.running)
        background_tasks.create(self._go(self.running))

    async def _go(self, running: PromptRun) -> None:
        self.is_going = True
        try:
            await running.go(self.session.conversation.system, self.session.conversation.sampling)
        finally:
            self.is_going = False

    def _draw_table(self, running: PromptRun) -> None:
        self.body.clear()
        columns = len(running.speakers)
        with self.body, ui.element("div").classes("w-full grid gap-x-4 gap-y-0 items-start") as grid:
            grid.style(f"grid-template-columns: repeat({columns + 1}, minmax(160px, 1fr))")
            for head in ("Prompt", *running.names):
                ui.label(head).classes("t-small c-3 font-medium py-1 truncate rule-b w-full")
            for at, prompt in enumerate(running.prompts):
                ui.label(prompt).classes("c-2 py-2 break-words rule-b w-full h-full")
                for column in range(columns):
                    cell = ui.label("").classes("py-2 whitespace-pre-wrap break-words rule-b w-full h-full")
                    self._labels[at, column] = cell.mark(f"cell-{at}-{column}")

    def _look(self) -> None:
        running = self.running
        self.end.set_visibility(self.is_going)
        self.start.set_visibility(running is None)
        self.save.set_visibility(running is not None and not self.is_going)
        if running is None:
            return
        for (at, column), label in self._labels.items():
            text = running.text(at, column)
            if text != label.text:
                label.set_text(text)
        done = len(running.answers)
        said = f"{done:,} of {running.total:,} answers"
        self.note.set_text(f"{said} …" if self.is_going else f"{said}.")

    def _stop(self) -> None:
        if self.running is not None:
            self.running.stop()

    async def _save(self) -> None:
        if self.running is not None:
            await save_text("Save as CSV", "prompts.csv", self.running.csv_text(), self.folder)
