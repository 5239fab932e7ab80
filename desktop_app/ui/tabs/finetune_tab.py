"""Fine-tune: reads as a sentence (fine-tune MODEL on DATA with METHOD for EPOCHS), then the plan, then Start.

What stands beside the form follows by itself: timers compare it with what the form holds now.
"""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

from nicegui import ui

from desktop_app.domain.data_choice import TokenChoice
from desktop_app.domain.data_report import DataReport
from desktop_app.domain.finetune_spec import FinetuneSpec
from desktop_app.domain.job import Job
from desktop_app.domain.preset import PRESETS, Preset
from desktop_app.domain.probe import Probe
from desktop_app.domain.spec import JobSpec, parse_spec
from desktop_app.domain.training_limits import objective_note, packing_refusal
from desktop_app.domain.variants import Varied
from desktop_app.errors import AppError
from desktop_app.memory_plan.duration import Duration
from desktop_app.memory_plan.job_plan import Known, job_plan
from desktop_app.ui.forms.finetune_form import finetune_refusal
from desktop_app.ui.known_data import DATA_SUFFIXES
from desktop_app.ui.start_job import start_job, when_it_starts
from desktop_app.ui.summary import data_line, model_line
from desktop_app.ui.widgets.banner import BannerPlace
from desktop_app.ui.widgets.button import button, icon_button
from desktop_app.ui.widgets.choice import Choice
from desktop_app.ui.widgets.earlier_runs import earlier_runs
from desktop_app.ui.widgets.figure import Figure, figure_row
from desktop_app.ui.widgets.finetune_fields import METHOD_NOTES, WORDS, advanced_fields, simple_fields
from desktop_app.ui.widgets.form_controls import FormControls
from desktop_app.ui.widgets.hint import hint
from desktop_app.ui.widgets.layers_dialog import choose_layers, choose_whole
from desktop_app.ui.widgets.page import TitleBar
from desktop_app.ui.widgets.path_picker import pick_file, pick_folder
from desktop_app.ui.widgets.plan_pane import PlanPane
from desktop_app.ui.widgets.promised_start import PromisedStart
from desktop_app.ui.widgets.save_spec import opened_preset, save_form
from desktop_app.ui.widgets.start_bar import StartBar
from desktop_app.ui.widgets.start_with import StartWith
from desktop_app.ui.widgets.template_dialog import choose_template
from desktop_app.ui.widgets.token_preview import TokenPreview
from desktop_app.ui.widgets.variants_dialog import queue_variants
from desktop_app.ui.window_state import WindowState
from desktop_app.ui.wording import duration_text
from desktop_app.ui.work_time import span_text

_HELD_OUT = "held out"  # a path is never that
_FOLLOW_S = 0.25
_EARLIER_COUNT = 4
_RUNS = 50


def draw(state: WindowState) -> None:
    """Draw the tab into the current page."""
    _FinetuneTab(state)


class _FinetuneTab:
    def __init__(self, state: WindowState) -> None:
        self.state = state
        self.form = state.finetune_form
        self.controls = FormControls(self.form, self._changed)
        self._earlier: tuple[Job, ...] | None = None
        self._is_counted = False
        self._basis: Known | None = None
        self._missing = ""
        self._draw()
        state.prefilled.subscribe(self._take)
        state.models.changed.subscribe(self._follow)
        state.files.changed.subscribe(self._follow)
        if state.prefill is not None:
            self._take(state.prefill)
        ui.timer(_FOLLOW_S, self._follow)
        self._follow()

    def _draw(self) -> None:
        with TitleBar("Fine-tune") as self.title:
            self.level = ui.toggle(["Simple", "Advanced"], value=self.state.level, on_change=self._show_level)
            self.level.props('aria-label="Level of detail"').mark("level")
        with ui.row().classes("w-full grow min-h-0 gap-0 no-wrap"):
            with ui.column().classes("grow min-w-0 h-full overflow-y-auto gap-4 px-4 py-4 no-wrap"):
                self.banner = BannerPlace()
                self._draw_sentence()
                with ui.column().classes("w-full max-w-[620px] gap-3 rule-t pt-4") as self.plan_box:
                    self.plan = PlanPane(self._take_start, self.state.probe)
                    self._draw_figures()
                self.earlier = ui.column().classes("w-full gap-0")
            TokenPreview(self.state, self.form)
        self.start_bar = StartBar(self._start, self._draw_actions)
        self.promised = PromisedStart(self.state, self.plan, self.start_with, self.start_bar)

    def _draw_sentence(self) -> None:
        grid = ui.element("div").classes("grid w-full gap-x-4 gap-y-4 max-w-[620px]")
        with grid.style("grid-template-columns: 72px minmax(0, 1fr)"):
            _clause("Fine-tune")
            self.model = Choice("model", self.state.choose_model, self._pick_model)
            _clause("on")
            self.data = Choice("data", self.state.choose_data, self._pick_data)
            _clause("with", "pt-[25px]")
            with ui.column().classes("gap-1 w-full"):
                with ui.row().classes("gap-3 items-start no-wrap w-full"):
                    self.controls.choice("objective", WORDS)
                    self.controls.choice("method", WORDS)
                self.method_note = ui.label().classes("t-small c-3")
            _clause("like")
            with ui.column().classes("gap-1 w-full"):
                self._draw_presets()
                self.start_with = StartWith(self._take_start)
            _clause("for", "pt-[25px]")  # beside the boxes, not beside their names
            simple_fields(self.controls)
            with ui.element("div").classes("contents").mark("advanced") as self.advanced:
                beside = {
                    "chat_template": self._draw_template_button,
                    "target_modules": lambda: self._draw_layers_button("target_modules", "get an adapter"),
                    "modules_to_save": lambda: self._draw_layers_button("modules_to_save", "are trained whole"),
                }
                self.groups = advanced_fields(self.controls, beside)
                ui.label("Evaluation").classes("t-small c-3 text-right pt-[7px]")
                self.evaluation = Choice("evaluation data", self._choose_evaluation, self._pick_evaluation)
        self.advanced.set_visibility(False)

    def _draw_presets(self) -> None:
        with ui.row().classes("gap-2 items-center w-full"):
            for preset in PRESETS:
                control = button(preset.title, kind="quiet", on_click=lambda preset=preset: self._take_ready(preset))
                hint(control.mark(f"preset-{preset.title}"), preset.sentence)
            ui.space()
            button("Open preset", "o_folder_open", kind="quiet", on_click=self._open_preset).mark("open-preset")

    def _draw_figures(self) -> None:
        with figure_row():
            self.steps = Figure("Steps")
            self.time = Figure("Time")

    def _draw_actions(self) -> None:
        button("Reset", kind="quiet", on_click=self._reset)
        button("Save as spec", kind="quiet", on_click=self._save_spec).mark("save-spec")
        button("Several runs", kind="quiet", on_click=self._vary).mark("several-runs")

    def _changed(self, name: str) -> None:
        self.state.is_start_promised = False  # the user has taken over
        if name in ("method", "objective") and self.form.follow_method():
            self.controls.show()
        self._follow()

    def _take_ready(self, preset: Preset) -> None:
        self.form.take_ready(preset)
        self.controls.show()
        self._follow()
        ui.notify(preset.sentence)

    def _take_start(self, changes: dict[str, Any]) -> None:
        self.form.take_preset(changes)
        self.controls.show()
        self._follow()

    async def _open_preset(self) -> None:
        picked = await pick_file("Choose a preset", (".yaml", ".yml"), self.state.settings.output_folder)
        if not picked:
            return
        try:
            self.form.take_preset(await asyncio.to_thread(opened_preset, Path(picked)))
        except AppError as error:
            self.banner.show(error)
            return
        self.banner.clear()
        self.controls.show()
        self._follow()

    def _show_level(self) -> None:
        self.state.level, count = str(self.level.value), self.form.advanced_changes
        self.advanced.set_visibility(self.state.level == "Advanced")
        words = f"{count} advanced {'setting' if count == 1 else 'settings'} changed"
        self.title.note.set_text(words if self.state.level == "Simple" and count else "")

    def _follow(self) -> None:
        """Take over what was chosen elsewhere, and show everything that depends on the form."""
        state, values = self.state, self.form.values
        if values["model"] != state.model or values["data"] != state.data:
            values["model"], values["data"] = state.model, state.data
            state.is_start_promised = False  # it was for others
        reading = state.files.reading(state.data)
        values["layout"], values["columns"] = reading.layout, reading.columns
        values["overlay"] = state.files.choice(state.data).overlay or None if state.data else None
        values["more_data"] = self.form.fields["more_data"].shown(state.files.more(state.data))
        state.files.compare_with(state.data, values["evaluation_data"] or "")
        self.form.facts = state.models.facts.get(state.model)
        self.form.report = state.files.reports.get(state.data)
        state.models.need(state.model)
        state.models.need_layers(state.model)
        state.files.need(state.data)
        self._show_choices()
        sample = state.machine[-1] if state.machine else None
        tokens, counted = state.files.counted.get(state.data, (None, None))
        is_of_model = tokens is not None and tokens.model == state.model
        statistics = counted.statistics if is_of_model and isinstance(counted, DataReport) else None
        self.form.statistics = statistics
        draft = self.form.draft()
        is_sound = self.form.facts is not None and not self.form.facts.problem
        self._is_counted = bool(
            draft and is_sound and state.data and state.files.need_tokens(state.data, TokenChoice.of(draft))
        )
        self._basis = None if sample is None else Known(sample=sample, jobs=self._runs(), statistics=statistics)
        self.plan.look(draft, self.form.facts, self._known_of(draft))
        self.start_with.look(self.form, sample, statistics)
        self._show_level()
        self._show_figures()
        self._show_earlier()
        self._show_start()
        self.promised.look(self.form, self._is_counted)

    def _show_choices(self) -> None:
        state, facts, report = self.state, self.form.facts, self.form.report
        known = [state.models.facts[path] for path in state.models.paths if path in state.models.facts]
        names = {each.path: each.name for each in known if not finetune_refusal(each)}
        line = model_line(facts) if facts else ("Reading …" if state.model else "A model of the list, or a folder.")
        self.model.show(names, state.model, line, is_problem=facts is not None and bool(facts.problem))
        files = {path: Path(path).name for path in state.files.paths}
        line = data_line(report) if report else ("Reading …" if state.data else "JSONL, JSON, CSV, Parquet or text.")
        self.data.show(files, state.data, line, is_problem=report is not None and bool(report.problem))
        held_out = {_HELD_OUT: "Rows of the data, kept aside"}
        others = {path: name for path, name in files.items() if path != state.data}
        chosen = self.form.values["evaluation_data"] or _HELD_OUT
        self.evaluation.show(held_out | others, chosen, "Never trained on; what was learned is measured there.")
        values = self.form.values
        self.method_note.set_text(f"{objective_note(values['objective'])} {METHOD_NOTES[values['method']]}")
        for group, is_used in (("4 bits", values["method"] == "qlora"), ("Adapter", values["method"] != "full")):
            for element in self.groups[group]:
                element.set_visibility(is_used)
        self.controls.use("parallel", self.form.is_spread)
        has_gpu = bool(state.machine and state.machine[-1].gpus) and values["device"] != "cpu"
        for name in ("method", "optimizer", "parallel"):
            self.controls.refuse(name, self.form.refusals(name, has_gpu), WORDS)
        for name in ("packing", "padding_free"):
            self.controls.forbid(name, packing_refusal(values["objective"], facts))

    def _show_figures(self) -> None:
        steps, plan = self.form.steps(), self.plan.plan
        whole = self.plan.whole
        expected = whole.time if whole else None
        self.plan_box.set_visibility(steps is not None or plan is not None)
        about = "≈ " if self.form.report is not None and not self.form.report.complete else ""
        self.steps.show("–" if steps is None else f"{about}{steps:,}")
        if expected is None:
            is_unknown = plan is not None and plan.verdict == "unknown"
            words = "counting the tokens" if self._is_counted else "measure it, or count the tokens in Data"
            self.time.show("–", "" if is_unknown else words)
        else:
            self.time.show(f"≈ {duration_text(expected.seconds)}", span_text(expected))

    def _known_of(self, spec: FinetuneSpec | None) -> Known | None:
        """What is known beside these settings: the steps they take, and a probe if it was made with them."""
        if spec is None or self._basis is None:
            return self._basis
        found = self.state.probe.of(spec)
        return replace(self._basis, steps=self.form.steps(spec), probe=found if isinstance(found, Probe) else None)

    def _expected(self, spec: Varied) -> Duration | None:
        """Expect the time of a variation of what the form holds, as its plan would."""
        known = self._known_of(spec) if isinstance(spec, FinetuneSpec) else None
        if known is None or self.form.facts is None or self.form.facts.problem:
            return None
        return job_plan(spec, self.form.facts, known).time

    def _runs(self) -> tuple[Job, ...]:
        """Trainings of this computer that measured something, newest first."""
        return tuple(job for job in self.state.jobs if job.summary.get("tokens_per_s"))[:_RUNS]

    def _show_earlier(self) -> None:
        model, data = self.state.model, self.state.data
        runs = (job for job in self.state.jobs if job.kind == "finetune" and model)
        found = tuple(job for job in runs if (job.model, job.data) == (model, data))[:_EARLIER_COUNT]
        if found != self._earlier:
            self._earlier = found
            self.earlier.clear()
            with self.earlier:
                earlier_runs(found, self._use)

    def _show_start(self) -> None:
        missing = self.form.missing()
        if self._missing and not missing:
            self.banner.clear()  # what an earlier press lacked is there now
        self._missing = missing
        is_error = bool(self.form.errors) or bool(self.state.model and self.state.data)
        self.start_bar.show(missing, when_it_starts(self.state, self.plan.plan), is_error)

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
        if isinstance(spec, FinetuneSpec):
            self.state.prefill = None  # once: a page that is loaded again keeps what was typed since
            self.state.files.read_as(spec.data, spec.layout, spec.columns)
            self.state.files.read_with(spec.data, spec.more_data)
            self.form.from_spec(spec)
            self.controls.show()
            self._follow()

    def _use(self, job: Job) -> None:
        try:
            spec = parse_spec(job.spec)
        except AppError as error:  # written by another version
            self.banner.show(error)
            return
        self._take(spec)

    def _reset(self) -> None:
        self.form.reset()
        self.controls.show()
        self.banner.clear()
        self._follow()

    async def _save_spec(self) -> None:
        await save_form(self.form, self.banner, self.state.settings.output_folder)

    async def _vary(self) -> None:
        try:
            spec = self.form.to_spec()
        except AppError as error:
            self.banner.show(error)
            return
        await queue_variants(self.state, spec, self._expected)

    async def _pick_model(self) -> None:
        picked = await pick_folder("Choose a model folder", self.state.model)
        if picked:
            self.state.models.add([picked])
            self.state.choose_model(picked)

    async def _pick_data(self) -> None:
        picked = await pick_file("Choose a data file", DATA_SUFFIXES, self.state.data)
        if picked:
            self.state.files.add(picked)
            self.state.choose_data(picked)

    def _choose_evaluation(self, path: str) -> None:
        """Measure on another file, and look whether it asks what the training data asks too."""
        file = "" if path == _HELD_OUT else path
        self.form.values["evaluation_data"] = file or None
        self._follow()

    async def _pick_evaluation(self) -> None:
        picked = await pick_file("Choose a file to measure on", DATA_SUFFIXES, self.state.data)
        if picked:
            self._choose_evaluation(picked)

    def _draw_template_button(self) -> None:
        see = icon_button("o_preview", "See what each template makes of the first row", self._pick_template)
        see.mark("see-templates")

    def _draw_layers_button(self, field: str, what: str) -> None:
        pick = icon_button(
            "o_checklist", f"Choose which of the model's layers {what}", lambda: self._pick_layers(field)
        )
        pick.mark(f"pick-{field}")

    async def _pick_layers(self, field: str) -> None:
        if self.form.facts is None or not self.form.facts.shape.matrices:
            ui.notify("This model's layers are not known; type their names." if self.state.model else "Choose a model.")
            return
        shape, current = self.form.facts.shape, str(self.form.values[field])
        if field == "target_modules":
            chosen = await choose_layers(shape.matrices, current)
        else:
            chosen = await choose_whole(shape, current)
        if chosen is not None:
            self.form.values[field] = chosen
            self.controls.show()
            self._follow()

    async def _pick_template(self) -> None:
        if not self.state.model:
            ui.notify("Choose a model first.")
            return
        chosen = await choose_template(self.state, self.form.values["chat_template"])
        if chosen is not None:
            self.form.values["chat_template"] = chosen
            self.controls.show()
            self._follow()


def _clause(word: str, offset: str = "pt-[5px]") -> None:
    ui.label(word).classes(f"t-lead c-2 text-right {offset}")
