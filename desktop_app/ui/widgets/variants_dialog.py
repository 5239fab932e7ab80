"""Queue a job again with one or two fields changed, in every combination of values; says how many runs, and when."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

from nicegui import ui

from desktop_app.domain.finetune_spec import FinetuneSpec
from desktop_app.domain.quantize_method import METHODS
from desktop_app.domain.variants import Varied, variants
from desktop_app.errors import AppError, SpecError
from desktop_app.memory_plan.duration import Duration
from desktop_app.ui.forms.field import FieldProblem, FormField
from desktop_app.ui.forms.finetune_form import FinetuneForm
from desktop_app.ui.forms.quantize_form import QuantizeForm, method_refusals
from desktop_app.ui.queue_time import waiting_s
from desktop_app.ui.start_job import start_job
from desktop_app.ui.window_state import WindowState
from desktop_app.ui.wording import clock_text, duration_text

from .button import button
from .dialog import card_dialog, show_job_of
from .finetune_fields import WORDS

Plan = Callable[[Varied], Duration | None]
_WORDS = WORDS | {name: method.title for name, method in METHODS.items()}
_KINDS = ("whole", "decimal", "choice", "switch")
_USUAL = {"finetune": "learning_rate", "quantize": "method"}


async def queue_variants(state: WindowState, spec: Varied, plan: Plan) -> None:
    """Show the dialog until runs are queued or it is closed; `plan` expects the time of a run."""
    dialog = _Dialog(state, spec, plan)
    await show_job_of(dialog.dialog, state)


class _Dialog:
    def __init__(self, state: WindowState, spec: Varied, plan: Plan) -> None:
        self._state = state
        self._plan = plan
        self._spec = spec
        form = FinetuneForm() if isinstance(spec, FinetuneSpec) else QuantizeForm()
        self._fields = {
            name: field for name, field in form.fields.items() if field.kind in _KINDS and name not in form.chosen
        }
        self._made: list[Varied] = []
        with card_dialog("Repeat with changes", "!w-[600px] !max-w-full") as self.dialog:
            ui.label("Repeat with changes").classes("t-lead")
            ui.label(
                "Every combination of these values becomes a job. A run that fails does not stop the others."
            ).classes("c-2")
            self._rows = [self._draw_row(_USUAL[spec.kind], "Field"), self._draw_row("", "And field")]
            self._said = ui.label().classes("min-w-0 break-words").mark("variants-said")
            self._more = ui.label().classes("t-small c-3").mark("variants-when")
            with ui.row().classes("w-full justify-end gap-2"):
                button("Cancel", kind="quiet", on_click=self.dialog.close)
                self._queue = button("Queue", kind="primary", on_click=self._submit).mark("queue-variants")
            ui.timer(1.0, self._say_when)  # tokens are counted and jobs end while it is open
        self._follow()
        self.dialog.open()

    def _draw_row(self, name: str, title: str) -> tuple[ui.select, ui.row]:
        options = ({} if name else {"": "none"}) | {key: field.label for key, field in self._fields.items()}
        with ui.row().classes("w-full gap-3 no-wrap items-start"):
            chosen = ui.select(options, value=name).classes("w-[200px] shrink-0").mark(f"vary-{title}")
            chosen.props(f'aria-label="{title}"')
            place = ui.row().classes("grow min-w-0")
        self._draw_values(name, place, title)
        chosen.on_value_change(lambda event: self._draw_values(event.value, place, title))
        return chosen, place

    def _draw_values(self, name: str, place: ui.row, title: str) -> None:
        """Offer what the field can be: numbers are typed, everything else is picked from a list."""
        field, now = self._fields.get(name), getattr(self._spec, name) if name else None
        place.clear()
        with place:
            values: ui.select | ui.input
            if field is not None and field.kind in ("choice", "switch"):
                words: dict[Any, str] = {choice: _WORDS.get(choice, choice) for choice in field.choices}
                words = {key: word for key, word in words.items() if key not in method_refusals()}
                words = words or {True: "yes", False: "no"}
                values = ui.select(words, value=[now], multiple=True, on_change=self._follow)
                values.props('aria-label="Values"')
            else:
                values = ui.input(value=_typed(now), on_change=self._follow)
                values.props('aria-label="Values, with commas between" placeholder="Values, with commas between"')
                values.props("spellcheck=false")
            values.classes("w-full").mark(f"values-{title}")
        self._follow()

    def _follow(self) -> None:
        """Say what would be queued, or why nothing can be."""
        if not hasattr(self, "_queue"):  # while it is drawn
            return
        try:
            self._made = variants(self._spec, self._choices())
        except SpecError as error:
            self._made = []
            self._said.set_text(error.message)
        else:
            self._said.set_text(self._count_text())
        self._said.classes(add="" if self._made else "c-bad", remove="c-bad" if self._made else "")
        self._say_when()
        count = len(self._made)
        self._queue.set_text(f"Queue {count} {'run' if count == 1 else 'runs'}" if count else "Queue")
        self._queue.set_enabled(bool(self._made))

    def _say_when(self) -> None:
        self._more.set_text(self._when_text() if self._made else "")

    def _choices(self) -> dict[str, list[Any]]:
        found: dict[str, list[Any]] = {}
        for chosen, place in self._rows:
            if not chosen.value:
                continue
            if chosen.value in found:
                raise SpecError("The same field is chosen twice.", "Choose another one, or none.")
            values = next(iter(place)).value
            found[chosen.value] = _parsed(self._fields[chosen.value], values or "")
        return found

    def _count_text(self) -> str:
        counts = [len(dict.fromkeys(values)) for values in self._choices().values()]
        count = len(self._made)
        product = f"{' × '.join(map(str, counts))} = " if len(counts) > 1 else ""
        return f"{product}{count} runs, one after the other." if count > 1 else "1 run."

    def _when_text(self) -> str:
        """When they start and end, as far as earlier jobs tell."""
        wait_s, unknown = waiting_s(self._state.active_job, self._state.queued_jobs)
        if not wait_s and not unknown:
            start = "The first starts at once."
        elif unknown:
            of = "one job" if unknown == 1 else f"{unknown} jobs"
            least = f"in {duration_text(wait_s)} at the earliest" if wait_s else "after what waits already"
            start = f"The first starts {least}; how long {of} before it will take is not known."
        else:
            start = f"The first starts in about {duration_text(wait_s)}."
        planned = [plan for made in self._made if (plan := self._plan(made))]
        if not planned:
            return f"{start} How long they take is known once one has run."
        took = sum(plan.seconds for plan in planned) / len(planned) * len(self._made)
        end = "" if unknown else f". All done at about {clock_text(time.time() + wait_s + took)}"
        return f"{start} Together about {duration_text(took)}, {planned[0].words}{end}."

    async def _submit(self) -> None:
        self._queue.disable()
        first, done = "", 0
        try:
            for spec in self._made:
                plan = self._plan(spec)
                job_id = await start_job(self._state, spec, None if plan is None else plan.estimate)
                first, done = first or job_id, done + 1
                await asyncio.sleep(0)
        except AppError as error:
            ui.notify(f"{done} of {len(self._made)} are queued. {error.message}", caption=error.hint)
        else:
            ui.notify(f"Queued {done} {'run' if done == 1 else 'runs'}.")
        self.dialog.submit(first)


def _typed(value: Any) -> str:
    """Write a number as it is typed: without commas, which part the values."""
    return "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _parsed(field: FormField, values: str | list[Any]) -> list[Any]:
    """Read values that were picked, or typed with commas between.

    Raises:
        SpecError: one of them cannot be.
    """
    parts = values.replace(";", ",").split(",") if isinstance(values, str) else values
    found = []
    for part in parts:
        if isinstance(part, str) and not part.strip():
            continue
        try:
            found.append(field.parse(part))
        except FieldProblem as problem:
            raise SpecError(f"{field.label} {part}: {problem.error.message}", field.description) from problem
    return found
