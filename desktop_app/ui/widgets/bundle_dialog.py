"""The two dialogs of a bundle: what goes along to another computer, and what came from one; then a job does it."""

from pathlib import Path
from typing import Any

from nicegui import run, ui

from desktop_app import paths
from desktop_app.domain.bundle_spec import PART_TITLES, BundlePart, BundleSpec, OpenBundleSpec
from desktop_app.domain.job import Job
from desktop_app.errors import AppError, SpecError
from desktop_app.hardware.disk import largest_file_bytes
from desktop_app.jobs.submit import submit
from desktop_app.memory_plan.work_size import facts_of_size, work_bytes
from desktop_app.ui.window_state import WindowState
from desktop_app.ui.wording import size_text

from .banner import BannerPlace
from .button import button, icon_button
from .dialog import card_dialog, show_job_of
from .need_line import NeedLine
from .path_picker import pick_file, pick_folder, typed_path

BUNDLE_HINT = "Pack it for another computer"
_LOOK_TIMEOUT_S = 60.0
_PACKED_KINDS = ("finetune", "quantize")
_JOB_PARTS: tuple[BundlePart, ...] = ("model", "data", "result", "report", "checkpoint", "preset")
_MODEL_PARTS: tuple[BundlePart, ...] = ("model", "tokenizer")
_FAT = "This disk is formatted as FAT, which holds files up to 4.2 GB: take a folder."
_UNUSUAL = ("preset", "tokenizer")


def can_be_bundled(job: Job) -> bool:
    """Whether a job can go to another computer: it trains or quantizes, and has ended."""
    return job.kind in _PACKED_KINDS and job.state.is_terminal


async def make_bundle(state: WindowState, model: str, job: Job | None = None) -> None:
    """Show the dialog that packs a job with its model, or a model alone, until a job was handed in or it is closed."""
    with card_dialog("Make a bundle", "w-[540px]") as dialog:
        form = _Packing(state, dialog, model, job)
    dialog.open()
    await form.show_need()
    await show_job_of(dialog, state)


async def open_bundle(state: WindowState, bundle: str = "") -> None:
    """Show the dialog that takes a bundle in, until a job was handed in or it is closed."""
    with card_dialog("Open a bundle", "w-[540px]") as dialog:
        form = _Opening(state, dialog, bundle)
    dialog.open()
    await form.look()
    await show_job_of(dialog, state)


class _Packing:
    def __init__(self, state: WindowState, dialog: ui.dialog, model: str, job: Job | None) -> None:
        self.state = state
        self.dialog = dialog
        self.model = model
        self.job = job
        self.name = job.name if job else Path(model).name
        ui.label(f"Pack {self.name} for another computer").classes("t-lead break-words")
        ui.label(
            "Whetstone there checks every file, says whether its memory will do, and goes on from the checkpoint."
            if job
            else "Whetstone there checks every file before it appears in its list."
        ).classes("c-2")
        self.problem = BannerPlace()
        parts = _JOB_PARTS if job else _MODEL_PARTS
        self.boxes: dict[BundlePart, ui.checkbox] = {}
        with ui.element("div").classes("grid w-full gap-x-4 gap-y-1").style("grid-template-columns: 1fr 1fr"):
            for part in parts:
                box = ui.checkbox(PART_TITLES[part], value=part not in _UNUSUAL, on_change=self.show_need)
                box.props("dense size=sm")
                self.boxes[part] = box.mark(f"bundle-{part}")
        with ui.row().classes("w-full gap-2 items-center no-wrap"):
            ui.label("To").classes("c-2 w-[52px] shrink-0")
            folder = Path(state.settings.output_folder or Path.home())
            proposed = folder / paths.portable_name(f"{self.name}-bundle")
            self.target = ui.input(value=str(proposed), placeholder="New folder").classes("grow min-w-0")
            self.target.mark("bundle-target").props("spellcheck=false").props["aria-label"] = "To"
            self.target.on_value_change(self.show_need)
            icon_button("o_folder_open", "Choose a folder or a stick", self._pick)
        with ui.element("div").classes("w-full -mt-2 pl-[60px]"):
            self.need = NeedLine(state)
        self.zip = ui.toggle({False: "A folder", True: "One zip file"}, value=False).classes("self-start")
        self.zip.props("toggle-color=none toggle-text-color=none").mark("bundle-zip")
        with ui.row().classes("w-full justify-end gap-2 pt-1"):
            button("Cancel", kind="quiet", on_click=dialog.close)
            button("Pack", kind="primary", on_click=self._start).mark("start-bundle")

    async def show_need(self) -> None:
        """Say what packing takes, and that the disk there holds no large file, whenever something was changed."""
        self.problem.clear()
        if not self._parts():
            self.need.clear()
            return
        spec = self._spec()
        try:
            size = await run.io_bound(work_bytes, spec)
            is_fat = await run.io_bound(largest_file_bytes, Path(spec.output or paths.jobs_dir())) is not None
            if spec == self._spec():  # else something else was chosen meanwhile, and is added up
                await self.need.show(spec, facts_of_size(self.name, size), size, _FAT if is_fat else "")
        except AppError as error:
            self.problem.show(error)

    async def _pick(self) -> None:
        picked = await pick_folder("Choose where the bundle goes", Path(str(self.target.value or "")).parent)
        if picked:
            self.target.value = str(Path(picked) / Path(str(self.target.value)).name)

    async def _start(self) -> None:
        self.problem.clear()
        try:
            if not self._parts():
                raise SpecError("Nothing is chosen.", "Choose what goes along.")
            self.dialog.submit(await run.io_bound(submit, self._spec()))
        except AppError as error:
            self.problem.show(error)

    def _parts(self) -> tuple[BundlePart, ...]:
        return tuple(part for part, box in self.boxes.items() if box.value)

    def _spec(self) -> BundleSpec:
        target = typed_path(self.target.value)
        return BundleSpec(
            model=self.model,
            job=self.job.id if self.job else "",
            parts=self._parts(),
            as_zip=bool(self.zip.value),
            output=target or None,
        )


class _Opening:
    def __init__(self, state: WindowState, dialog: ui.dialog, bundle: str) -> None:
        self.state = state
        self.dialog = dialog
        self.found: dict[str, Any] | None = None
        ui.label("Open a bundle").classes("t-lead")
        ui.label("From another computer with Whetstone. Every file is compared with its checksum.").classes("c-2")
        self.problem = BannerPlace()
        with ui.row().classes("w-full gap-2 items-center no-wrap"):
            ui.label("From").classes("c-2 w-[52px] shrink-0")
            self.source = ui.input(value=bundle, placeholder="Folder of a bundle, or its zip file")
            self.source.classes("grow min-w-0").mark("bundle-source").props("spellcheck=false")
            self.source.props["aria-label"] = "From"
            self.source.on("blur", self.look).on("keydown.enter", self.look)
            icon_button("o_folder_open", "Choose a folder", self._pick_folder)
            icon_button("o_description", "Choose a zip file", self._pick_file)
        with ui.column().classes("w-full gap-1 pl-[60px]"):
            self.facts = ui.column().classes("w-full gap-1")
            self.need = NeedLine(state)
        with ui.row().classes("w-full gap-2 items-center no-wrap") as self.model_row:
            ui.label("Model").classes("c-2 w-[52px] shrink-0")
            self.model = ui.input(placeholder="Its folder on this computer").classes("grow min-w-0")
            self.model.mark("bundle-model").props("spellcheck=false").props["aria-label"] = "Model"
            icon_button("o_folder_open", "Choose the model", self._pick_model)
        self.model_row.set_visibility(False)
        with ui.row().classes("w-full justify-end gap-2 pt-1"):
            button("Cancel", kind="quiet", on_click=dialog.close)
            self.start = button("Check and take in", kind="primary", on_click=self._start).mark("start-opening")
        self.start.set_enabled(False)

    async def look(self) -> None:
        """Read the bundle's list and say what it holds."""
        source = typed_path(self.source.value)
        self.problem.clear()
        self.found = None
        self.facts.clear()
        self.need.clear()
        self.start.set_enabled(False)
        self.model_row.set_visibility(False)
        if not source:
            return
        with self.facts:
            ui.label("Reading its list …").classes("c-3")
        problem, found = None, None
        try:
            found = await run.io_bound(self.state.reader.call, "look_at_bundle", _LOOK_TIMEOUT_S, path=source)
        except AppError as error:
            problem = error
        if source != typed_path(self.source.value):
            return  # another one was named meanwhile, and is looked at
        self.facts.clear()
        self.found = found
        if problem is not None:
            self.problem.show(problem)
        elif found is not None:
            self._draw(found)
            size, spec = found["size_bytes"], OpenBundleSpec(bundle=source)
            try:
                await self.need.show(spec, facts_of_size(found["name"], size), size)
            except AppError as error:
                self.problem.show(error)

    def _draw(self, found: dict[str, Any]) -> None:
        names = ["checkpoints" if part == "checkpoint" else part for part in found["parts"]]
        with self.facts:
            size = size_text(found["size_bytes"])
            about = f"{found['job'] or found['name']} · {size} in {found['file_count']:,} files"
            ui.label(about).classes("font-semibold break-words").mark("bundle-facts")
            ui.label(", ".join([*names, *(["settings"] if found["job"] else [])]).capitalize()).classes("c-2")
            if found["sentence"]:
                fits = found["verdict"] == "fits"
                icon, colour = ("o_check", "c-good") if fits else ("o_warning_amber", "c-warn")
                _draw_line(icon, colour, found["sentence"])
        self.model_row.set_visibility(bool(found["needs_model"]))
        if found["needs_model"]:
            known = (path for path in self.state.models.paths if Path(path).name == found["needs_model"])
            self.model.value = next(known, "")
            self.model.props["placeholder"] = f"Folder of {found['needs_model']} on this computer"
        self.start.set_enabled(found["size_bytes"] <= found["free_bytes"])

    async def _pick_folder(self) -> None:
        await self._take(await pick_folder("Choose the folder of a bundle"))

    async def _pick_file(self) -> None:
        await self._take(await pick_file("Choose the zip file of a bundle", [".zip"]))

    async def _take(self, picked: str | None) -> None:
        if picked:
            self.source.value = picked
            await self.look()

    async def _pick_model(self) -> None:
        picked = await pick_folder("Choose the model on this computer")
        if picked:
            self.model.value = picked

    async def _start(self) -> None:
        self.problem.clear()
        model = typed_path(self.model.value) if self.found and self.found["needs_model"] else ""
        try:
            if self.found and self.found["needs_model"] and not model:
                raise SpecError("The model is not in the bundle.", f"Name the folder of {self.found['needs_model']}.")
            spec = OpenBundleSpec(bundle=typed_path(self.source.value), model=model or None)
            self.dialog.submit(await run.io_bound(submit, spec))
        except AppError as error:
            self.problem.show(error)


def _draw_line(icon: str, colour: str, text: str) -> None:
    with ui.row().classes("w-full items-start gap-2 no-wrap"):
        ui.icon(icon).classes(f"{colour} text-[16px] mt-0.5").props("aria-hidden=true")
        ui.label(text).classes("min-w-0 break-words")
