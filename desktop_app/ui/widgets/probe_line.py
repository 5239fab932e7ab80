"""Measure it here: a button below the plan, what is going on meanwhile, and what was found."""

from nicegui import background_tasks, ui

from desktop_app.domain.finetune_spec import FinetuneSpec
from desktop_app.domain.probe import Probe
from desktop_app.errors import AppError, MemoryShortage
from desktop_app.ui.probe_run import ProbeRun
from desktop_app.ui.wording import memory_text

from .button import button
from .hint import hint

_ABOUT = (
    "Loads the model in a process of its own and trains a few steps, the longest rows first. "
    "Nothing is kept; then the time comes from this measurement."
)


class ProbeLine:
    """Follows the form and the measurement; call `look` often."""

    def __init__(self, probe: ProbeRun) -> None:
        self._probe = probe
        self._shown: tuple[object, ...] | None = None
        self._place = ui.row().classes("w-full items-center gap-2 no-wrap min-h-[32px]")

    def look(self, spec: FinetuneSpec | None) -> None:
        """Draw anew what has changed."""
        found = None if spec is None else self._probe.of(spec)
        state = (spec, self._probe.stage, found)
        if state == self._shown:
            return
        self._shown = state
        self._place.clear()
        if spec is None:
            return
        with self._place:
            if self._probe.stage:
                self._draw_running(spec)
            else:
                self._draw_found(spec, found)

    def _draw_running(self, spec: FinetuneSpec) -> None:
        ui.spinner(size="16px").classes("c-3")
        what = "" if self._probe.is_measuring(spec) else " (with other settings)"
        ui.label(f"{self._probe.stage}{what} …").classes("c-2 min-w-0 grow").mark("probe-stage")
        button("Stop", kind="quiet", on_click=self._probe.stop).mark("stop-probe")

    def _draw_found(self, spec: FinetuneSpec, found: Probe | AppError | None) -> None:
        if isinstance(found, Probe):
            ui.icon("o_speed").classes("c-3 text-[16px]").props("aria-hidden=true")
            text = f"Measured here: {found.tokens_per_s:,.0f} tokens/s, {memory_text(found.peak_bytes)} at its fullest"
            label = ui.label(text).classes("c-2 min-w-0 grow").mark("probed")
            rows = f"the first {found.rows_read:,} rows of the data, the longest of them {found.longest:,} tokens"
            hint(label, f"{found.steps} steps in {found.seconds:.1f} s on {found.device}, with {rows}.")
        elif found is not None:
            is_too_large = isinstance(found, MemoryShortage)
            ui.icon("o_cancel" if is_too_large else "o_error_outline").classes(
                f"{'c-bad' if is_too_large else 'c-warn'} text-[16px]"
            ).props("aria-hidden=true")
            ui.label(f"{found.message} {found.hint}").classes("c-2 min-w-0 grow").mark("probe-problem")
        again = "Measure it here" if found is None else "Measure again"
        start = button(again, "o_speed" if found is None else None, "quiet", lambda: self._start(spec)).mark("probe")
        hint(start, _ABOUT)
        if found is None:
            start.classes("-ml-3")  # its words stand where the lines above begin
            ui.label("about ten seconds, and the time to load the model").classes("t-small c-3 min-w-0")

    def _start(self, spec: FinetuneSpec) -> None:
        background_tasks.create(self._probe.measure(spec), name="measure a training")
