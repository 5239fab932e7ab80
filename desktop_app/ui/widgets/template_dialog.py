"""Choose a chat template by what it makes of the first row: every one rendered, with what it can and cannot do."""

from nicegui import run, ui

from desktop_app.domain.data_report import TemplateSample
from desktop_app.errors import AppError
from desktop_app.ui.window_state import WindowState

from .button import button
from .dialog import answer_of

_TIMEOUT_S = 60.0


async def choose_template(state: WindowState, current: str) -> str | None:
    """Show the templates until one is chosen; its name, None if none was. A problem is told, and is no choice."""
    data = state.files.choice(state.data).model_dump(mode="json") if state.data else None
    try:
        answer = await run.io_bound(state.inspect.call, "chat_templates", _TIMEOUT_S, model=state.model, data=data)
    except AppError as error:
        ui.notify(error.message, caption=error.hint)
        return None
    if answer is None:  # the program ends
        return None
    chooser = _Chooser([TemplateSample.model_validate(sample) for sample in answer], current)
    return await answer_of(chooser.dialog)


class _Chooser:
    def __init__(self, samples: list[TemplateSample], current: str) -> None:
        self.samples = {sample.name: sample for sample in samples}
        with ui.dialog() as self.dialog, ui.card().classes("!w-[760px] !max-w-full no-wrap gap-3"):
            ui.label("Chat template").classes("t-lead")
            ui.label("How conversations are written for the model. The result keeps it.").classes("c-2")
            with ui.row().classes("w-full gap-4 no-wrap items-stretch"):
                names = {name: sample.label for name, sample in self.samples.items() if not sample.problem}
                value = current if current in names else next(iter(names), None)
                self.name = ui.radio(names, value=value, on_change=self._show).classes("shrink-0 w-[230px]")
                self.name.props("dense size=sm").mark("template")
                with ui.column().classes("grow min-w-0 gap-2 no-wrap"):
                    self.preview = ui.label().mark("template-preview")
                    self.preview.classes(
                        "t-mono box well w-full h-[320px] overflow-y-auto p-3 whitespace-pre-wrap break-words"
                    )
                    self.note = ui.label().classes("t-small c-2 min-h-4 break-words")
            with ui.row().classes("w-full justify-end gap-2"):
                button("Cancel", on_click=lambda: self.dialog.submit(None))
                take = button("Use it", kind="primary", on_click=lambda: self.dialog.submit(self.name.value))
                take.mark("use-template")
        self._show()
        self.dialog.open()

    def _show(self) -> None:
        sample = self.samples.get(str(self.name.value))
        self.preview.set_text(sample.preview if sample else "")
        self.note.set_text(_about(sample) if sample else "")


def _about(sample: TemplateSample) -> str:
    marks = "It marks the answers, so that exactly these are learned." if sample.has_markers else ""
    return " ".join(part for part in (marks, sample.note) if part)
