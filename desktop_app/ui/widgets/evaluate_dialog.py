"""The dialog that measures models: which original, what to compare with it, on what text; then a job does it."""

from pathlib import Path
from typing import Any

from nicegui import run, ui

from desktop_app.domain.evaluate_spec import REFUSALS, SCORING_TITLES, EvaluateSpec
from desktop_app.domain.job import Job, JobState
from desktop_app.domain.model_facts import ModelFacts
from desktop_app.domain.spec import parse_spec
from desktop_app.errors import AppError, SpecError
from desktop_app.jobs.submit import submit
from desktop_app.memory_plan.job_plan import Known
from desktop_app.memory_plan.work_size import work_bytes
from desktop_app.ui.window_state import WindowState
from desktop_app.ui.work_time import time_text

from .banner import BannerPlace
from .button import button, icon_button
from .dialog import card_dialog, show_job_of
from .path_picker import pick_file, typed_path
from .plan_pane import PlanPane

EVALUATE_HINT = "Perplexity, divergence, answers, speed and size, in one report beside the original"
_OURS, _FILE = "ours", "file"
_FOLLOW_S = 0.25
_SUFFIXES = (".jsonl", ".json", ".csv", ".parquet", ".txt", ".md")


async def evaluate_model(state: WindowState, model: str) -> None:
    """Show the dialog for a model, or for what was made of one, until a job was handed in or it is closed."""
    await state.models.read(model)
    with card_dialog("Evaluate", "w-[600px] no-wrap") as dialog:
        _Form(state, dialog, model)
    dialog.open()
    await show_job_of(dialog, state)


def held_out_results(jobs: list[Job], model: str) -> dict[str, str]:
    """Return the results of fine-tunings of a model that kept rows aside, each with the name of its job."""
    return {
        job.result: f"Rows that {job.name} kept aside"
        for job in jobs
        if job.kind == "finetune" and job.state is JobState.SUCCEEDED and job.result and job.model == model
        and (job.spec.get("held_out") or job.spec.get("evaluation_data")) and job.spec.get("objective", "sft") == "sft"
    }  # fmt: skip


class _Form:
    def __init__(self, state: WindowState, dialog: ui.dialog, model: str) -> None:
        self.state, self.dialog = state, dialog
        facts = state.models.facts[model]
        self.original_path = facts.original
        ui.label("Evaluate").classes("t-lead")
        self.problem = BannerPlace()
        self._draw_models(model)
        self._draw_text()
        self._draw_questions()
        with ui.expansion("More").classes("w-full quiet-expansion"):
            self._draw_more()
        with ui.column().classes("w-full gap-1 rule-t pt-3"):
            self.plan = PlanPane()
            self.time = ui.label().classes("t-small c-3").mark("evaluate-time")
        ui.label(
            "Each model is loaded in turn, so that they need not fit together. Figures come with the interval in which "
            "they would lie on other rows like these."
        ).classes("t-small c-3")
        with ui.row().classes("w-full justify-end gap-2 pt-1"):
            button("Cancel", kind="quiet", on_click=dialog.close)
            button("Evaluate", kind="primary", on_click=self._start).mark("start-evaluation")
        ui.timer(_FOLLOW_S, self._follow)
        self._follow()

    def _draw_models(self, model: str) -> None:
        names = self._names()
        originals = {path: name for path, name in names.items() if self._is_whole(path)}
        originals.setdefault(self.original_path, Path(self.original_path).name)  # it need not be on the list
        with _row("Original"):
            self.original = ui.select(originals, value=self.original_path, on_change=self._original_changed)
            self.original.classes("grow min-w-0").mark("evaluate-original").props["aria-label"] = "Original"
        with _row("Compare"):
            related = [path for path in names if self._is_related(path) or path == model != self.original_path]
            chosen = [path for path in related if path != self.original_path]
            self.variants = ui.select(self._comparable(), value=chosen, multiple=True).props("use-chips")
            self.variants.classes("grow min-w-0 tags").mark("evaluate-variants").props["aria-label"] = "Compare"

    def _names(self) -> dict[str, str]:
        known = (self.state.models.facts.get(path) for path in self.state.models.paths)
        usable = [
            facts for facts in known if facts is not None and (not facts.problem or facts.kind in ("gguf", "onnx"))
        ]
        return {facts.path: facts.name + _about(facts) for facts in usable}

    def _is_whole(self, path: str) -> bool:
        facts = self.state.models.facts.get(path)
        return facts is not None and facts.kind == "base"

    def _is_related(self, path: str) -> bool:
        facts = self.state.models.facts[path]
        return path != self.original_path and facts.original == self.original_path

    def _comparable(self) -> dict[str, str]:
        return {path: name for path, name in self._names().items() if path != self.original_path}

    def _original_changed(self, event: Any) -> None:
        self.original_path = str(event.value)
        related = [path for path in self._names() if self._is_related(path)]
        self.variants.set_options(self._comparable(), value=related)
        self.text.set_options(self._texts(), value=_OURS)

    def _texts(self) -> dict[str, str]:
        fixed = {_OURS: "The text that comes with Whetstone", _FILE: "A file of mine"}
        return fixed | held_out_results(self.state.jobs, self.original_path)

    def _draw_text(self) -> None:
        with _row("On"):
            self.text = ui.select(self._texts(), value=_OURS, on_change=self._show_rows)
            self.text.classes("grow min-w-0").mark("evaluate-text").props["aria-label"] = "On"
        with _row("File") as self.file_row:
            self.file = ui.input(placeholder="Text, conversations, or questions with answers").classes("grow min-w-0")
            self.file.mark("evaluate-file").props("spellcheck=false").props["aria-label"] = "File"
            icon_button("o_folder_open", "Choose a file", self._pick)
        self.file_row.set_visibility(False)

    def _draw_questions(self) -> None:
        with _row("Ask"):
            self.questions = ui.number(value=10, min=0, max=100_000, suffix="questions").classes("w-[140px]")
            self.questions.props["aria-label"] = "Questions"
            ui.label("Answers are right by").classes("c-2 whitespace-nowrap")
            self.scoring = ui.select(dict(SCORING_TITLES), value="none", on_change=self._show_rows)
            self.scoring.classes("grow min-w-0").mark("evaluate-scoring").props["aria-label"] = "Answers are right by"
        with _row("Pattern") as self.pattern_row:
            self.pattern = ui.input(placeholder=r"answer: (\w+)").classes("grow min-w-0")
            self.pattern.props("spellcheck=false").props["aria-label"] = "Pattern"
        self.pattern_row.set_visibility(False)

    def _draw_more(self) -> None:
        with ui.row().classes("w-full gap-3 py-1 no-wrap"):
            self.tokens = _number("Tokens at most", 4096)
            self.rows = _number("Rows at most", 64)
            self.window = _number("Window in tokens", 512)
            self.answer = _number("Longest answer", 64)
        ui.label("An answer counts as a refusal if it holds one of these, one to a line").classes("c-2")
        self.refusals = ui.textarea(value="\n".join(REFUSALS)).props("outlined dense rows=4").classes("w-full")
        self.refusals.props["aria-label"] = "Phrases of refusals"

    def _show_rows(self) -> None:
        self.file_row.set_visibility(self.text.value == _FILE)
        self.pattern_row.set_visibility(self.scoring.value == "regex")

    def _follow(self) -> None:
        """Plan anew what has changed: arithmetic on what is known of the original."""
        facts, machine = self.state.models.facts.get(self.original_path), self.state.machine
        try:
            spec = self._spec()
        except AppError:  # said when it is started
            return
        size = work_bytes(spec, facts) if facts is not None else 0
        known = Known(sample=machine[-1], jobs=self.state.jobs, work_bytes=size) if machine else None
        self.plan.look(spec, facts, known)
        time = self.plan.whole.time if self.plan.whole else None
        self.time.set_text("" if time is None else f"Takes {time_text(time)}.")

    async def _pick(self) -> None:
        picked = await pick_file("Choose what to measure on", _SUFFIXES, self.state.data or Path.home())
        if picked:
            self.file.value = picked

    def _spec(self) -> EvaluateSpec:
        file = typed_path(self.file.value) if self.text.value == _FILE else None
        if file == "":
            raise SpecError("No file is named.", "Choose the file to measure on, or another text.", "data")
        spec = parse_spec({
            "kind": "evaluate",
            "model": self.original_path,
            "variants": list(self.variants.value),
            "data": file,
            "held_out_of": self.text.value if self.text.value not in (_OURS, _FILE) else None,
            "questions": int(self.questions.value or 0),
            "scoring": self.scoring.value,
            "pattern": str(self.pattern.value or ""),
            "max_tokens": int(self.tokens.value or 4096),
            "max_rows": int(self.rows.value or 64),
            "max_length": int(self.window.value or 512),
            "max_new_tokens": int(self.answer.value or 64),
            "refusals": [line for line in str(self.refusals.value or "").splitlines() if line.strip()],
        })  # fmt: skip
        assert isinstance(spec, EvaluateSpec)
        return spec

    async def _start(self) -> None:
        self.problem.clear()
        try:
            time = self.plan.whole.time if self.plan.whole else None
            self.dialog.submit(await run.io_bound(submit, self._spec(), time.estimate if time else None))
        except AppError as error:
            self.problem.show(error)


def _row(name: str) -> ui.row:
    row = ui.row().classes("w-full gap-2 items-center no-wrap")
    with row:
        ui.label(name).classes("c-2 w-[64px] shrink-0")
    return row


def _number(name: str, value: int) -> ui.number:
    with ui.column().classes("gap-1 min-w-0 grow"):
        ui.label(name).classes("t-small c-3")
        control = ui.number(value=value, min=1, precision=0).classes("w-full")
    control.props["aria-label"] = name
    return control


def _about(facts: ModelFacts) -> str:
    if facts.kind == "adapter":
        return " (adapter)"
    return f" ({facts.quantization})" if facts.quantization else ""
