"""The dialog that exports a result: in which form, to where, whether the disk can hold it; then a job does it."""

from collections.abc import Mapping
from pathlib import Path

from nicegui import run, ui

from desktop_app import paths
from desktop_app.domain.export_spec import FORM_TITLES, GGUF_TYPES, ExportForm, ExportSpec, possible_forms
from desktop_app.domain.job import Job
from desktop_app.domain.model_facts import ModelFacts
from desktop_app.domain.quantize_method import METHODS, QuantizeMethod
from desktop_app.errors import AppError, SpecError
from desktop_app.hardware.disk import largest_file_bytes
from desktop_app.jobs.submit import submit
from desktop_app.memory_plan.work_size import adapter_base, work_bytes
from desktop_app.ui.window_state import WindowState

from .banner import BannerPlace
from .button import button, icon_button
from .dialog import card_dialog, show_job_of
from .need_line import NeedLine
from .path_picker import pick_folder, typed_path

EXPORT_HINT = "As a whole model, GGUF, or adapter, to a folder or a stick; tried before it is shown"
_LOOK_TIMEOUT_S = 30.0
_EXPORTED_KINDS = ("finetune", "quantize", "export", "convert", "bring_in", "download")
_SENTENCES: dict[ExportForm, str] = {
    "whole": "Safetensors with config and tokenizer, as Transformers, vLLM and others load it.",
    "gguf": "One file for llama.cpp, LM Studio and Ollama.",
    "adapter": "The adapter alone; it needs its base model beside it.",
    "as_is": "The files as they are: what is quantized already is not changed again.",
}
_FAT = "This disk is formatted as FAT, which holds files up to 4.2 GB."
_FORMATS = {"auto": "As the original", "bf16": "BF16", "fp16": "FP16", "fp32": "FP32"}


def can_be_exported(job: Job) -> bool:
    """Whether a job has a result that is a model."""
    return bool(job.result) and job.kind in _EXPORTED_KINDS


async def export_model(state: WindowState, models: Mapping[str, str]) -> None:
    """Show the dialog for one of the models (folder -> name) until a job was handed in or it is closed."""
    with card_dialog("Export", "w-[560px]") as dialog:
        form = _Form(state, dialog, models)
    dialog.open()
    await form.look()
    await show_job_of(dialog, state)


class _Form:
    def __init__(self, state: WindowState, dialog: ui.dialog, models: Mapping[str, str]) -> None:
        self.state = state
        self.dialog = dialog
        self.models = models
        self.model = next(iter(models))
        self.facts: ModelFacts | None = None
        self.form: ExportForm = "whole"
        self.title = ui.label("Export").classes("t-lead break-words")
        self.problem = BannerPlace()
        if len(models) > 1:
            self._draw_models()
        self.choices = ui.column().classes("w-full gap-2")
        with ui.row().classes("w-full gap-2 items-center no-wrap"):
            ui.label("To").classes("c-2 w-[52px] shrink-0")
            self.target = ui.input(placeholder="New folder").classes("grow min-w-0").mark("export-target")
            self.target.props("spellcheck=false").props["aria-label"] = "To"
            self.target.on_value_change(self._show_need)
            icon_button("o_folder_open", "Choose a folder or a stick", self._pick)
        with ui.element("div").classes("w-full -mt-2 pl-[60px]"):
            self.need = NeedLine(state)
        with ui.expansion("More").classes("w-full quiet-expansion"):
            self._draw_more()
        ui.label(
            "Before it is shown it is loaded again and compared: it writes what the original writes, or the job says "
            "what differs."
        ).classes("t-small c-3")
        with ui.row().classes("w-full justify-end gap-2 pt-1"):
            button("Cancel", kind="quiet", on_click=dialog.close)
            self.start = button("Export", kind="primary", on_click=self._start).mark("start-export")
        self.start.set_enabled(False)

    def _draw_models(self) -> None:
        with ui.row().classes("w-full gap-2 items-center no-wrap"):
            ui.label("Model").classes("c-2 w-[52px] shrink-0")
            chosen = ui.select(dict(self.models), value=self.model).classes("grow min-w-0").mark("export-which")
            chosen.on_value_change(lambda event: self._choose_model(event.value)).props["aria-label"] = "Model"

    async def _choose_model(self, model: str) -> None:
        self.model = model
        self.target.value = ""
        await self.look()

    def _draw_more(self) -> None:
        with ui.row().classes("w-full gap-2 items-center no-wrap py-1"):
            ui.label("Size of one weight file").classes("c-2 grow")
            self.shard = ui.number(value=4000, min=1, max=1_000_000, suffix="MB", on_change=self._show_need)
            self.shard.classes("w-[120px]").props["aria-label"] = "Size of one weight file"
        ui.label("System prompt for Ollama").classes("c-2")
        self.system = ui.textarea().props("outlined dense autogrow").classes("w-full").mark("export-system")
        self.system.props["aria-label"] = "System prompt for Ollama"

    async def look(self) -> None:
        """Read what the model is, and offer its forms."""
        model = self.model
        self.start.set_enabled(False)
        try:
            answer = await run.io_bound(self.state.reader.call, "model_facts", _LOOK_TIMEOUT_S, path=model)
        except AppError as error:
            self.problem.show(error)
            return
        if model != self.model:
            return  # another one was chosen meanwhile
        self.facts = ModelFacts.model_validate(answer)
        self.name = self.models[self.model]
        self.title.set_text(f"Export {self.name}")
        self._draw_choices(possible_forms(self.facts))
        await self._propose()
        self.start.set_enabled(True)

    def _draw_choices(self, forms: tuple[ExportForm, ...]) -> None:
        self.form = forms[0]
        self.choices.clear()
        with self.choices:
            if len(forms) > 1:
                toggle = ui.toggle({form: FORM_TITLES[form].partition(" for ")[0] for form in forms}, value=self.form)
                toggle.props('toggle-color=none toggle-text-color=none aria-label="Form"').mark("export-form")
                toggle.on_value_change(lambda event: self._choose(event.value))
            self.sentence = ui.label(_SENTENCES[self.form]).classes("c-2")
            with ui.row().classes("w-full gap-2 items-center no-wrap") as self.gguf_row:
                ui.label("Type").classes("c-2 w-[52px] shrink-0")
                named = {method: METHODS[method].title.removeprefix("GGUF ") for method in GGUF_TYPES}
                self.gguf = ui.select(named, value="gguf_q4_k_m", on_change=self._type_changed)
                self.gguf.classes("w-[128px] shrink-0").mark("export-type").props["aria-label"] = "Type"
                self.about = ui.label(METHODS["gguf_q4_k_m"].sentence).classes("t-small c-3 min-w-0")
            with ui.row().classes("w-full gap-2 items-center no-wrap") as self.format_row:
                ui.label("Format").classes("c-2 w-[52px] shrink-0")
                self.format = ui.toggle(_FORMATS, value="auto", on_change=self._show_need).mark("export-format")
                self.format.props('toggle-color=none toggle-text-color=none aria-label="Number format"')
        self._show_rows()

    def _show_rows(self) -> None:
        self.gguf_row.set_visibility(self.form == "gguf")
        self.format_row.set_visibility(self.form == "whole")
        self.sentence.set_text(_SENTENCES[self.form])

    async def _choose(self, form: ExportForm) -> None:
        self.form = form
        self._show_rows()
        await self._propose()

    async def _type_changed(self) -> None:
        method: QuantizeMethod = self.gguf.value
        self.about.set_text(METHODS[method].sentence)
        await self._propose()

    async def _propose(self) -> None:
        """Propose a free folder, beside the one the user chose."""
        ending = {"gguf": str(self.gguf.value).removeprefix("gguf_"), "as_is": "copy"}.get(self.form, self.form)
        chosen = str(self.target.value or "")
        folder = Path(chosen).parent if chosen else Path(self.state.settings.output_folder or Path.home())
        wanted = folder / paths.portable_name(f"{self.name}-{ending}")
        self.target.value = str(await run.io_bound(paths.free_name, wanted))
        await self._show_need()

    async def _show_need(self) -> None:
        """Say what the export takes; its check loads the original, of an adapter that is merged the base."""
        if self.facts is None or not self.target.value:
            return
        self.problem.clear()
        try:
            spec, chosen = self._spec(), self.facts
            facts, base = chosen, adapter_base(spec, chosen)
            if base:
                read = self.state.reader.call
                answer = await run.io_bound(read, "listed_facts", _LOOK_TIMEOUT_S, path=base)
                facts = ModelFacts.model_validate(answer)
            size = await run.io_bound(work_bytes, spec, chosen)
            is_fat = await run.io_bound(largest_file_bytes, Path(typed_path(self.target.value))) is not None
            if chosen is self.facts and spec == self._spec():  # else something else was chosen meanwhile
                await self.need.show(spec, facts, size, _FAT if is_fat else "")
        except AppError as error:
            self.problem.show(error)

    def _spec(self) -> ExportSpec:
        target = typed_path(self.target.value)
        if not target:
            raise SpecError("No folder is named.", "Choose where the export goes.", "output")
        return ExportSpec(
            model=self.model,
            form=self.form,
            output=target,
            dtype=self.format.value,
            shard_size_mb=int(self.shard.value or 4000),
            gguf_type=self.gguf.value,
            system=str(self.system.value or "").replace('"""', '"'),
        )

    async def _pick(self) -> None:
        picked = await pick_folder("Choose where the export goes", Path(str(self.target.value or Path.home())).parent)
        if picked:
            self.target.value = str(Path(picked) / Path(str(self.target.value)).name)
            await self._propose()

    async def _start(self) -> None:
        self.problem.clear()
        try:
            self.dialog.submit(await run.io_bound(submit, self._spec()))
        except AppError as error:
            self.problem.show(error)
