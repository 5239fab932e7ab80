"""The dialog that brings a model in: what, from where, copy or move, to where; then a job does it."""

from pathlib import Path

from nicegui import run, ui

from desktop_app import paths
from desktop_app.domain.bring_in_spec import BringInSpec
from desktop_app.domain.model_facts import ModelFacts
from desktop_app.errors import AppError
from desktop_app.jobs.submit import submit
from desktop_app.library.bundle import BUNDLE
from desktop_app.ui.summary import kind_text, model_line
from desktop_app.ui.window_state import WindowState
from desktop_app.ui.wording import size_text

from .banner import BannerPlace
from .bundle_dialog import open_bundle
from .button import button, icon_button
from .dialog import answer_of, card_dialog
from .hint import hint
from .need_line import NeedLine
from .path_picker import pick_file, pick_folder, typed_path

_LOOK_TIMEOUT_S = 30.0
_IS_BUNDLE = "bundle"


async def bring_in(state: WindowState, source: str = "") -> None:
    """Show the dialog, with `source` filled in, until a job was handed in or it is closed; a bundle has its own."""
    if source and await run.io_bound(may_be_bundle, Path(source)):
        await open_bundle(state, source)
        return
    with card_dialog("Bring in a model", "w-[540px]") as dialog:
        form = _Form(state, dialog, source)
    dialog.open()
    if source:
        await form.look()
    answer = await answer_of(dialog)
    if answer == _IS_BUNDLE:
        await open_bundle(state, typed_path(form.source.value))
    elif answer:
        state.open_job(answer)


def may_be_bundle(path: Path) -> bool:
    """Whether somebody packed this for another computer."""
    return (path.suffix.lower() == ".zip" and path.is_file()) or (path / BUNDLE).is_file()


class _Form:
    def __init__(self, state: WindowState, dialog: ui.dialog, source: str) -> None:
        self.state = state
        self.dialog = dialog
        self.facts: ModelFacts | None = None
        ui.label("Bring in a model").classes("t-lead")
        ui.label(
            "From a USB stick or another folder. Every file is read back and compared before it appears in the list."
        ).classes("c-2")
        self.problem = BannerPlace()
        self.source = self._path("From", source, "bring-source", "Folder of a model, or a GGUF file", self.look)
        with self.source_row:
            icon_button("o_folder_open", "Choose a folder", self._pick_folder).mark("bring-pick")
            icon_button("o_description", "Choose a GGUF file", self._pick_file)
        self.found = ui.label("").classes("t-small c-3 -mt-2 pl-[60px]").mark("bring-facts")
        self.target = self._path("To", "", "bring-target", "New folder", None)
        with self.source_row:
            icon_button("o_folder_open", "Choose another disk or folder", self._pick_target)
        self.target.on_value_change(self._show_need)
        with ui.element("div").classes("w-full -mt-2 pl-[60px]"):
            self.need = NeedLine(state)
        self.move = ui.toggle({False: "Copy", True: "Move"}, value=False).mark("bring-move").classes("self-start")
        self.move.props("toggle-color=none toggle-text-color=none")
        with ui.row().classes("w-full justify-end gap-2 pt-1"):
            other = button("Open a bundle", kind="quiet", on_click=lambda: dialog.submit(_IS_BUNDLE))
            hint(other, "A model and a job that were packed on another computer")
            ui.space()
            button("Cancel", kind="quiet", on_click=dialog.close)
            self.start = button("Bring it in", kind="primary", on_click=self._start)
        self.start.set_enabled(False)

    def _path(self, name: str, value: str, marker: str, placeholder: str, on_leave: object) -> ui.input:
        with ui.row().classes("w-full gap-2 items-center no-wrap") as self.source_row:
            ui.label(name).classes("c-2 w-[52px] shrink-0")
            field = ui.input(value=value, placeholder=placeholder).classes("grow min-w-0").mark(marker)
            field.props("spellcheck=false").props["aria-label"] = name
            if on_leave is not None:
                field.on("blur", self.look).on("keydown.enter", self.look)
        return field

    async def look(self) -> None:
        """Read what stands at the source, and propose where it goes."""
        source = typed_path(self.source.value)
        if self.facts is not None and self.facts.path == source:
            return
        self.problem.clear()
        self.facts = None
        self.start.set_enabled(False)
        self.found.set_text("")
        self.need.clear()
        if not source:
            return
        if await run.io_bound(may_be_bundle, Path(source)):
            self.dialog.submit(_IS_BUNDLE)
            return
        try:
            answer = await run.io_bound(self.state.reader.call, "listed_facts", _LOOK_TIMEOUT_S, path=source)
        except AppError as error:
            self.problem.show(error)
            return
        self.facts = facts = ModelFacts.model_validate(answer)
        is_usable = bool(facts.architecture or facts.pickle)
        if facts.problem and not is_usable:
            self.problem.show(AppError(facts.problem, facts.hint))
            return
        what = "old weights, to be converted here" if facts.pickle else f"{kind_text(facts)} · {_line(facts)}"
        self.found.set_text(f"{facts.name}: {what}")
        stem = facts.name if Path(source).is_file() else Path(source).name
        name = paths.portable_name(facts.name.rpartition("/")[2] if "snapshots" in source else stem)
        parent = Path(self.target.value).parent if self.target.value else paths.models_dir()
        self.target.value = str(parent / name)
        self.start.set_enabled(True)
        await self._show_need()

    async def _show_need(self) -> None:
        """Say what it takes to bring that in there, whenever one of both has changed."""
        if self.facts is None:
            self.need.clear()
            return
        try:
            await self.need.show(self._spec(self.facts), self.facts, self.facts.size_bytes)
        except AppError as error:
            self.problem.show(error)

    async def _pick_folder(self) -> None:
        await self._take(await pick_folder("Choose a model folder to bring in"))

    async def _pick_file(self) -> None:
        await self._take(await pick_file("Choose a GGUF file", [".gguf"]))

    async def _take(self, picked: str | None) -> None:
        if picked:
            self.source.value = picked
            await self.look()

    async def _pick_target(self) -> None:
        picked = await pick_folder("Choose where it goes", str(paths.models_dir()))
        if picked:
            self.target.value = str(Path(picked) / (Path(self.target.value or self.source.value or "model").name))

    async def _start(self) -> None:
        if self.facts is None:
            return
        self.problem.clear()
        target = typed_path(self.target.value)
        try:
            job_id = await run.io_bound(submit, self._spec(self.facts))
        except AppError as error:
            self.problem.show(error)
            return
        if target and Path(target).parent != paths.models_dir():
            self.state.models.watch(str(Path(target).parent))  # so that what comes there is listed
        self.dialog.submit(job_id)

    def _spec(self, facts: ModelFacts) -> BringInSpec:
        target = typed_path(self.target.value)
        return BringInSpec(model=facts.path, output=target or None, move=bool(self.move.value))


def _line(facts: ModelFacts) -> str:
    return size_text(facts.size_bytes) if facts.problem else model_line(facts)
