"""Does the job fit into this computer? Follows the form and the machine by itself, once asked to look."""

from nicegui import ui

from desktop_app.domain.finetune_spec import FinetuneSpec
from desktop_app.domain.machine import MachineSample
from desktop_app.domain.model_facts import ModelFacts
from desktop_app.domain.spec import ComputingSpec
from desktop_app.errors import AppError
from desktop_app.memory_plan import MemoryPlan, memory_plan

from .memory_meter import memory_meter

_STEP_BYTES = 64 * 2**20  # smaller changes of the free memory are not worth a redraw


class PlanPane:
    """The verdict and the memory bar; `plan` is what is shown, None while there is nothing to plan with."""

    def __init__(self) -> None:
        self.plan: MemoryPlan | None = None
        self._shown: tuple[object, ...] | None = None
        self._place = ui.column().classes("w-full gap-3")
        self._place.set_visibility(False)

    def look(self, spec: ComputingSpec | None, facts: ModelFacts | None, sample: MachineSample | None) -> None:
        """Plan anew if the job, the model or the free memory has changed; arithmetic only, in well under 1 ms."""
        wanted = None if spec is None or facts is None or facts.problem or sample is None else (spec, facts)
        key = None if wanted is None or sample is None else (*wanted, *_used_memory(sample))
        if key == self._shown:
            return
        self._shown = key
        self._place.clear()
        self._place.set_visibility(wanted is not None)
        self.plan = None
        if wanted is None or sample is None:
            return
        with self._place:
            try:
                self.plan = memory_plan(wanted[0], wanted[1], sample)
                memory_meter(self.plan, sample)
                _draw_notice(*wanted)
            except AppError as error:
                ui.label(error.message).classes("c-2")


def _draw_notice(spec: ComputingSpec, facts: ModelFacts) -> None:
    """Say that examples may be longer than the model can take, which nothing forbids."""
    if isinstance(spec, FinetuneSpec) and 0 < facts.context_length < spec.max_length:
        with ui.row().classes("w-full items-baseline gap-2 no-wrap"):
            ui.icon("o_info").classes("c-warn text-[16px] self-start mt-[2px]").props("aria-hidden=true")
            text = f"The model was made for {facts.context_length:,} tokens; of longer examples it learns little."
            ui.label(text).classes("c-2 min-w-0").mark("notice")


def _used_memory(sample: MachineSample) -> tuple[int, ...]:
    return (sample.memory_used // _STEP_BYTES, *(gpu.memory_used // _STEP_BYTES for gpu in sample.gpus))
