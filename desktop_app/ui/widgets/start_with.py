"""The sentence that says with what to start, and the button that takes it over."""

from collections.abc import Callable
from typing import Any

from nicegui import ui

from desktop_app.domain.data_report import TokenStatistics
from desktop_app.domain.machine import MachineSample
from desktop_app.errors import AppError
from desktop_app.memory_plan.starting_point import StartingPoint, starting_point
from desktop_app.ui.forms.finetune_form import FinetuneForm

from .button import button

_STEP_BYTES = 512 * 2**20  # smaller changes of the free memory are no other computer


class StartWith:
    """A line below the presets; empty until model, data and computer are known."""

    def __init__(self, on_use: Callable[[dict[str, Any]], object]) -> None:
        self._on_use = on_use
        self._key: object = None
        self._found: StartingPoint | None = None
        self._open: dict[str, Any] = {}  # advised, and not as in the form
        with ui.row().classes("w-full gap-3 items-start no-wrap") as self._row:
            self._text = ui.label().classes("t-small c-2 min-w-0 flex-1").mark("start-with")
            self._use = button("Use these", kind="quiet", on_click=self.take).mark("use-start")
            self._use.classes("shrink-0 -mt-1")
        self._row.set_visibility(False)

    def look(self, form: FinetuneForm, sample: MachineSample | None, counted: TokenStatistics | None) -> None:
        """Say it anew if model, data, computer or what is to be learned has changed."""
        facts, report, spec = form.facts, form.report, form.draft()
        used = None if sample is None else (sample.memory_used // _STEP_BYTES, *_gpu_use(sample))
        key = (facts, id(report), counted, used, spec and (spec.objective, spec.device, spec.precision, spec.max_rows))
        if key != self._key:
            self._key = key
            is_known = facts is not None and report is not None and sample is not None and spec is not None
            try:
                self._found = starting_point(spec, facts, report, sample, counted) if is_known else None  # type: ignore[arg-type]
            except AppError:  # sizes that nobody can plan with; the plan below says it
                self._found = None
            self._text.set_text("" if self._found is None else self._found.sentence)
            self._row.set_visibility(self._found is not None)
        changes = self._found.changes if self._found is not None and spec is not None else {}
        self._open = {name: value for name, value in changes.items() if getattr(spec, name) != value}
        self._use.set_visibility(bool(self._open))

    def take(self) -> None:
        """Put what is advised into the form."""
        if self._open:
            self._on_use(self._open)


def _gpu_use(sample: MachineSample) -> tuple[int, ...]:
    return tuple(gpu.memory_used // _STEP_BYTES for gpu in sample.gpus)
