"""Quantize: reads as a sentence (quantize MODEL to NF4 and Q4_K_M), then the size before and after, then Start.

Behind each format stands the size that the model will have in it; formats that cannot be made here say why.
"""

from pathlib import Path

from nicegui import ui

from desktop_app.domain.job import Job
from desktop_app.domain.model_facts import ModelFacts
from desktop_app.domain.quantize_method import METHODS
from desktop_app.domain.quantize_spec import QuantizeSpec
from desktop_app.domain.spec import JobSpec
from desktop_app.errors import AppError
from desktop_app.memory_plan.job_plan import Known
from desktop_app.ui.forms.quantize_form import method_refusals, quantize_refusal
from desktop_app.ui.known_data import DATA_SUFFIXES
from desktop_app.ui.start_job import start_job, when_it_starts
from desktop_app.ui.summary import model_line
from desktop_app.ui.widgets.banner import BannerPlace
from desktop_app.ui.widgets.button import button, icon_button
from desktop_app.ui.widgets.choice import Choice
from desktop_app.ui.widgets.figure import Figure, figure_row
from desktop_app.ui.widgets.form_controls import FormControls
from desktop_app.ui.widgets.page import TitleBar
from desktop_app.ui.widgets.path_picker import pick_file, pick_folder
from desktop_app.ui.widgets.plan_pane import PlanPane
from desktop_app.ui.widgets.save_spec import save_form
from desktop_app.ui.widgets.start_bar import StartBar
from desktop_app.ui.window_state import WindowState
from desktop_app.ui.wording import duration_text, size_text
from desktop_app.ui.work_time import span_text

_FOLLOW_S = 0.25
_RUNS = 50
_DTYPES = {"bf16": "bfloat16", "fp16": "float16", "fp32": "float32"}
_YOUR_TEXT = "a text file, of the kind that it will read"
_OUR_TEXT = "ours, about 3,000 tokens; better a text file of the kind that it will read"
_WORDS = {"auto": "Automatic", "cpu": "Processor", "cuda": "GPU"}


def draw(state: WindowState) -> None:
    """Draw the tab into the current page."""
    _QuantizeTab(state)


class _QuantizeTab:
    def __init__(self, state: WindowState) -> None:
        self.state = state
        self.form = state.quantize_form
        self.controls = FormControls(self.form, lambda name: self._follow())
        with TitleBar("Quantize"):
            self.level = ui.toggle(["Simple", "Advanced"], value=self.state.level, on_change=self._show_level)
            self.level.props('aria-label="Level of detail"').mark("level")
        with ui.column().classes("w-full grow min-h-0 overflow-y-auto gap-4 px-4 py-4 no-wrap"):
            self.banner = BannerPlace()
            self._draw_sentence()
            with ui.column().classes("w-full max-w-[620px] gap-3 rule-t pt-4") as self.plan_box:
                with figure_row():
                    self.before = Figure("Now")
                    self.after = Figure("Afterwards")
                    self.time = Figure("Time")
                self.kept = ui.label().classes("c-2").mark("kept")
                self.plan = PlanPane()
        self.start_bar = StartBar(self._start, self._draw_actions)
        state.prefilled.subscribe(self._take)
        state.models.changed.subscribe(self._follow)
        if state.prefill is not None:
            self._take(state.prefill)
        ui.timer(_FOLLOW_S, self._follow)
        self._follow()

    def _draw_sentence(self) -> None:
        grid = ui.element("div").classes("grid w-full gap-x-4 gap-y-4 max-w-[620px]")
        with grid.style("grid-template-columns: 72px minmax(0, 1fr)"):
            ui.label("Quantize").classes("t-lead c-2 text-right pt-[5px]")
            self.model = Choice("model", self.state.choose_model, self._pick_model)
            ui.label("to").classes("t-lead c-2 text-right pt-[25px]")
            with ui.column().classes("gap-2 w-full"):
                with ui.column().classes("gap-1 w-full items-stretch"):
                    self.controls.choice("method", {name: how.title for name, how in METHODS.items()}, only_those=True)
                    self.method_note = ui.label().classes("t-small c-3")
                with ui.row().classes("w-full no-wrap"):
                    self.controls.several("further_methods", {name: how.title for name, how in METHODS.items()})
                with ui.element("div").classes("grid w-full gap-3 grid-cols-2 items-end") as self.groups:
                    self.controls.choice("bits", {})
                    self.controls.choice("group_size", {-1: "The whole row"})
                    with ui.row().classes("col-span-2") as self.act_order:
                        self.controls.switch("act_order")
                with ui.row() as self.double:
                    self.controls.switch("double_quantization")
                with ui.row() as self.weighing:
                    self.controls.switch("importance_matrix")
                with ui.row().classes("w-full items-end gap-2 no-wrap") as self.text:
                    self.text_field = self.controls.typed("calibration_data")
                    icon_button("o_folder_open", "Choose a text", self._pick_text).mark("pick-text")
                self.controls.switch("measure_result")
            ui.label("with").classes("t-lead c-2 text-right pt-[25px]")
            with ui.element("div").classes("grid w-full gap-3 grid-cols-2 items-start"):
                self.controls.typed("skip_modules", placeholder="the output layer")
                self.controls.typed("output", placeholder="in the job's folder")
                self.controls.typed("name", placeholder="from model and method")
                self.controls.choice("device", _WORDS)
            with ui.element("div").classes("contents").mark("advanced") as self.advanced:
                ui.label("keeping").classes("t-lead c-2 text-right pt-[25px]")
                with ui.element("div").classes("grid w-full gap-3 grid-cols-2 items-start"):
                    self.controls.typed("keep_first_layers")
                    self.controls.typed("keep_last_layers")
                    with ui.row().classes("col-span-2") as self.embeddings:
                        self.controls.switch("keep_embeddings")
                    with ui.element("div").classes("contents") as self.blocks:
                        self.controls.choice("block_size", {})
                        self.controls.choice("compute_dtype", {"auto": "The other weights' format", **_DTYPES})
                    self.controls.typed("shard_size_mb", "MB")
                    self.controls.typed("threads", placeholder="all cores but one")
        self._show_level()

    def _draw_actions(self) -> None:
        button("Reset", kind="quiet", on_click=self._reset)
        button("Save as spec", kind="quiet", on_click=self._save_spec)

    def _follow(self) -> None:
        """Take over the model that was chosen elsewhere, and show everything that depends on the form."""
        state, form = self.state, self.form
        form.values["model"] = state.model
        form.facts = facts = state.models.facts.get(state.model)
        state.models.need(state.model)
        form.base = self._base_of(facts)
        known = [state.models.facts[path] for path in state.models.paths if path in state.models.facts]
        names = {each.path: each.name for each in known if not quantize_refusal(each)}
        line = model_line(facts) if facts else ("Reading …" if state.model else "A model of the list, or a folder.")
        self.model.show(names, state.model, line, is_problem=facts is not None and bool(facts.problem))
        self.method_note.set_text(METHODS[form.values["method"]].sentence)
        self.double.set_visibility(form.is_four_bit_block)
        self.blocks.set_visibility(form.is_four_bit_block)
        self.embeddings.set_visibility(form.has_gguf)
        self.weighing.set_visibility(form.weighs_errors)
        self.groups.set_visibility(form.reads_text)
        self.controls.use("bits", form.has_gptq)
        self.act_order.set_visibility(form.has_gptq)
        self.text_field.props["placeholder"] = _OUR_TEXT if form.reads_text else _YOUR_TEXT
        self.text.set_visibility(form.reads_text or (form.weighs_errors and bool(form.values["importance_matrix"])))
        self._show_formats()
        missing = form.missing()
        is_possible = form.weights is not None and not form.missing_choice()
        size = form.weights.size_bytes if form.weights is not None else 0
        around = Known(sample=state.machine[-1], jobs=self._runs(), work_bytes=size) if state.machine else None
        self.plan.look(form.draft() if is_possible else None, form.weights, around)
        self._show_sizes(form.weights if is_possible else None)
        self.start_bar.show(missing, when_it_starts(state, self.plan.plan), is_error=bool(state.model))

    def _base_of(self, facts: ModelFacts | None) -> ModelFacts | None:
        if facts is None or facts.kind != "adapter" or not Path(facts.base_model).is_absolute():
            return None
        self.state.models.need(facts.base_model)
        return self.state.models.facts.get(facts.base_model)

    def _show_formats(self) -> None:
        """Tell the size behind each format, and why some cannot be made."""
        sizes = self.form.sizes()
        words = {
            str(name): how.title + (f" · {size_text(sizes[name])}" if sizes else "") for name, how in METHODS.items()
        }
        refused = method_refusals()
        self.controls.refuse("method", refused, words)
        further = {str(name): how.title for name, how in METHODS.items()}
        elsewhere = {name: reason for name, reason in refused.items() if name in further}
        self.controls.refuse("further_methods", {self.form.values["method"]: "the format above", **elsewhere}, further)

    def _show_level(self) -> None:
        self.state.level = str(self.level.value)
        self.advanced.set_visibility(self.state.level == "Advanced")

    def _show_sizes(self, facts: ModelFacts | None) -> None:
        self.plan_box.set_visibility(facts is not None)
        if facts is None:
            return
        plan = self.plan.plan
        self.before.show(size_text(facts.size_bytes))
        stays = sum(part.bytes for part in plan.disk if part.stays) if plan else 0
        share = f"{100 * stays / facts.size_bytes:.0f} %" if plan and facts.size_bytes else ""
        self.after.show(f"≈ {size_text(stays)}" if plan else "–", share)
        time = self.plan.whole.time if self.plan.whole else None
        self.time.show(f"≈ {duration_text(time.seconds)}" if time else "–", span_text(time) if time else "")
        self.kept.set_text(self.form.kept_sentence())

    def _runs(self) -> tuple[Job, ...]:
        """Quantizations of this computer that tell how long one takes, newest first."""
        return tuple(job for job in self.state.jobs if job.kind == "quantize" and "work_bytes" in job.summary)[:_RUNS]

    async def _start(self) -> None:
        try:
            time = self.plan.whole.time if self.plan.whole else None
            job_id = await start_job(self.state, self.form.to_spec(), time.estimate if time else None)
        except AppError as error:
            self.banner.show(error)
            return
        self.banner.clear()
        self.state.open_job(job_id)

    def _take(self, spec: JobSpec) -> None:
        """Take over the settings of a spec that was opened elsewhere."""
        if isinstance(spec, QuantizeSpec):
            self.state.prefill = None  # once: a page that is loaded again keeps what was typed since
            self.form.from_spec(spec)
            self.controls.show()
            self._follow()

    def _reset(self) -> None:
        self.form.reset()
        self.controls.show()
        self.banner.clear()
        self._follow()

    async def _save_spec(self) -> None:
        await save_form(self.form, self.banner, self.state.settings.output_folder)

    async def _pick_text(self) -> None:
        now = str(self.form.values["calibration_data"] or "") or self.state.data
        picked = await pick_file("Choose a text", DATA_SUFFIXES, now)
        if picked:
            self.text_field.value = picked

    async def _pick_model(self) -> None:
        start = str(Path(self.state.model).parent) if self.state.model else ""
        picked = await pick_folder("Choose a model folder", start)
        if picked:
            self.state.models.add([picked])
            self.state.choose_model(picked)
