"""Does the job fit into this computer? Follows the form and the machine by itself, once asked to look.

Nothing here holds a job back: what does not fit can be started all the same, and what is proposed is taken on a click.
"""

from collections.abc import Callable
from typing import Any

from nicegui import ui

from desktop_app.domain.finetune_spec import FinetuneSpec
from desktop_app.domain.model_facts import ModelFacts
from desktop_app.domain.spec import ComputingSpec
from desktop_app.errors import AppError
from desktop_app.memory_plan import MemoryPlan, amount_text
from desktop_app.memory_plan.fitting import Fitting
from desktop_app.memory_plan.job_plan import JobPlan, Known, job_plan
from desktop_app.ui.probe_run import ProbeRun

from .button import button
from .disk_line import DiskLine
from .finetune_fields import WORDS
from .memory_meter import memory_meter
from .probe_line import ProbeLine

_STEP_BYTES = 64 * 2**20  # smaller changes of the free memory are not worth a redraw
_NAMES = {
    "batch_size": "Batch size",
    "gradient_accumulation": "Batches added up for a step",
    "activation_checkpointing": "Activation checkpointing",
    "max_length": "Longest example, in tokens",
    "optimizer": "Optimizer",
    "method": "Method",
    "learning_rate": "Learning rate",
}


class PlanPane:
    """The verdict, the memory bars and the disk; `whole` is what is shown, None while there is nothing to plan with.

    `on_changes` takes over the settings with which it fits, when the user accepts them.
    """

    def __init__(
        self, on_changes: Callable[[dict[str, Any]], object] | None = None, probe: ProbeRun | None = None
    ) -> None:
        self.whole: JobPlan | None = None
        self._on_changes = on_changes
        self._shown: tuple[object, ...] | None = None
        with ui.column().classes("w-full gap-3") as self._place:
            self._drawn = ui.column().classes("w-full gap-3")
            self._disk = DiskLine()
            self._probe = None if probe is None else ProbeLine(probe)
        self._place.set_visibility(False)

    @property
    def plan(self) -> MemoryPlan | None:
        """The plan of memory and disk that is shown."""
        return None if self.whole is None else self.whole.memory

    def look(self, spec: ComputingSpec | None, facts: ModelFacts | None, known: Known | None) -> None:
        """Plan anew if the job, the model, its data or the free memory has changed; arithmetic only, in a few ms."""
        is_ready = spec is not None and facts is not None and not facts.problem and known is not None
        if self._probe is not None:
            self._probe.look(spec if isinstance(spec, FinetuneSpec) and is_ready else None)
        key = (spec, facts, *_changing(known)) if is_ready and known is not None else None
        if key == self._shown:
            return
        self._shown = key
        self._drawn.clear()
        self._place.set_visibility(is_ready)
        self.whole = None
        if spec is None or facts is None or facts.problem or known is None:
            return
        with self._drawn:
            try:
                self.whole = job_plan(spec, facts, known)
                memory_meter(self.whole.memory, known.sample)
                self._disk.show(spec, self.whole.memory)
                if isinstance(spec, FinetuneSpec):
                    _draw_notice(spec, facts)
                    self._draw_fitting(spec, self.whole.fitting)
            except AppError as error:
                ui.label(error.message).classes("c-2")

    def _draw_fitting(self, spec: FinetuneSpec, fitting: Fitting | None) -> None:
        """Show the smallest change that fits, line by line, and a button that takes it."""
        if fitting is None or self._on_changes is None:
            return
        take = self._on_changes
        with ui.column().classes("w-full gap-2 box p-3").mark("fitting"):
            with ui.row().classes("w-full items-center gap-2 no-wrap"):
                needed = amount_text(fitting.plan.needed_bytes)
                ui.label(f"With these changes it fits and needs about {needed}.").classes("c-2 min-w-0 grow")
                button("Fit it for me", "o_auto_fix_high", on_click=lambda: take(fitting.changes)).mark("fit")
            with ui.element("dl").classes("grid gap-x-4 gap-y-1").style("grid-template-columns: auto auto 1fr"):
                for name, before, after in fitting.lines(spec):
                    ui.label(_NAMES[name]).classes("c-2")
                    ui.label(_value_text(before)).classes("c-3 line-through text-right")
                    ui.label(_value_text(after))


def _value_text(value: object) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return WORDS.get(value, value) if isinstance(value, str) else f"{value:,}"


def _draw_notice(spec: FinetuneSpec, facts: ModelFacts) -> None:
    """Say that examples may be longer than the model can take, which nothing forbids."""
    if 0 < facts.context_length < spec.max_length:
        with ui.row().classes("w-full items-baseline gap-2 no-wrap"):
            ui.icon("o_info").classes("c-warn text-[16px] self-start mt-[2px]").props("aria-hidden=true")
            text = f"The model was made for {facts.context_length:,} tokens; of longer examples it learns little."
            ui.label(text).classes("c-2 min-w-0").mark("notice")


def _changing(known: Known) -> tuple[object, ...]:
    sample = known.sample
    used = (sample.memory_used // _STEP_BYTES, *(gpu.memory_used // _STEP_BYTES for gpu in sample.gpus))
    return (*used, known.statistics, known.steps, known.probe, tuple((job.id, job.state) for job in known.jobs))
