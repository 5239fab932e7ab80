"""Does it fit? The verdict first, then a stacked bar whose words say the same without colour."""

from collections.abc import Iterable
from dataclasses import dataclass

from nicegui import ui

from desktop_app.domain.machine import MachineSample
from desktop_app.memory_plan import Budget, MemoryPlan, Term
from desktop_app.ui.wording import memory_text

from .hint import hint

_VERDICTS = {
    "fits": ("It fits", "o_check_circle", "c-good"),
    "tight": ("It is tight", "o_error_outline", "c-warn"),
    "unknown": ("Unknown", "o_help_outline", "c-warn"),
    "does_not_fit": ("It does not fit", "o_cancel", "c-bad"),
}
_ONE_LINE = 75
_TINTS = ("part-1", "part-2", "part-3", "part-4")
# Small terms stand with the larger one that they come with, so that four tints are enough.
_TOGETHER = {
    "16-bit copies": "Weights",
    "Reference model": "Weights",
    "Gathered": "Weights",
    "Adapter": "Gradients",
    "Optimizer": "Gradients",
    "Exchange": "Gradients",
    "Checkpoint": "Gradients",
    "Logits": "Activations",
    "Cache": "Activations",
    "Fragmentation": "Program",
    "CUDA context": "Program",
    "Measured before": "Program",
    "Other processes": "Program",
}


@dataclass(slots=True)
class _Part:
    name: str
    bytes: int
    tint: str
    formula: str


def memory_meter(plan: MemoryPlan, sample: MachineSample) -> None:
    """Draw the verdict, a bar for each kind of memory, and the names of its terms; formulas show on hover."""
    words, icon, colour = _VERDICTS[plan.verdict]
    is_long = len(plan.sentence) > _ONE_LINE  # beside the verdict it would make a narrow column
    with ui.row().classes("w-full items-baseline gap-x-2 gap-y-1" + ("" if is_long else " no-wrap")):
        ui.icon(icon).classes(f"{colour} text-[16px] self-start mt-[3px]")
        ui.label(words).classes("t-lead whitespace-nowrap")
        ui.label(plan.sentence).classes("c-2 min-w-0" + (" basis-full" if is_long else "")).mark("plan")
    main = Budget(
        where=plan.where,
        terms=plan.terms,
        needed_bytes=plan.needed_bytes,
        free_bytes=plan.free_bytes,
        verdict=plan.verdict,
    )
    _draw_budget(main, sample, "GPU memory" if plan.ram else "", plan.sentence)
    if plan.ram:
        needed = f"{memory_text(plan.ram.needed_bytes)} of {memory_text(plan.ram.free_bytes)} free"
        _draw_budget(plan.ram, sample, "RAM", f"RAM: {needed}")


def _draw_budget(budget: Budget, sample: MachineSample, title: str, said: str) -> None:
    other_bytes = max(0, _total_bytes(budget.where, sample) - budget.free_bytes)
    parts = [_Part("Other programs", other_bytes, "part-other", "What the system and other programs hold now.")]
    parts += _terms(budget.terms)
    if budget.free_bytes > budget.needed_bytes:
        parts.append(_Part("Free", budget.free_bytes - budget.needed_bytes, "part-free", "Stays free."))
    with ui.column().classes("w-full gap-1.5"):
        if title:
            ui.label(title).classes("t-small c-3")
        _draw_bar(parts, said, other_bytes + budget.free_bytes)
        with ui.row().classes("w-full gap-x-4 gap-y-1"):
            for part in parts:
                with ui.row().classes("items-center gap-1.5 t-small no-wrap"):
                    ui.element("span").classes(f"swatch {part.tint}")
                    ui.label(part.name).classes("c-2")
                    ui.label(memory_text(part.bytes))
                    ui.tooltip(part.formula).classes("whitespace-pre-line max-w-[420px]")


def _terms(terms: Iterable[Term]) -> list[_Part]:
    """The terms as parts of the bar, some of them together."""
    parts: dict[str, _Part] = {}
    for term in terms:
        group = _TOGETHER.get(term.name, term.name)
        formula = f"{term.name}, {memory_text(term.bytes)}: {term.formula}. {term.source}"
        if group in parts:
            part = parts[group]
            part.name = f"{part.name}, {term.name.lower() if term.name != 'CUDA context' else term.name}"
            part.bytes += term.bytes
            part.formula += f"\n{formula}"
        else:
            parts[group] = _Part(term.name, term.bytes, _TINTS[len(parts) % len(_TINTS)], formula)
    return [part for part in parts.values() if part.bytes]


def _draw_bar(parts: list[_Part], said: str, total_bytes: int) -> None:
    """Draw the bar; where more is needed than there is, a line marks the end of the memory."""
    shown_bytes = max(1, total_bytes, sum(part.bytes for part in parts))
    with ui.element("div").classes("relative w-full"):
        with ui.element("div").classes("meter w-full").props("role=img") as bar:
            bar.props["aria-label"] = f"Memory plan: {said}"
            for part in parts:
                ui.element("div").classes(part.tint).style(f"flex: {part.bytes / shown_bytes:.4f}")
        if shown_bytes > max(1, total_bytes):
            line = (
                ui.element("div").classes("absolute w-[2px]").style("top: -4px; bottom: -4px; background: var(--bad)")
            )
            hint(
                line.style(f"left: {100 * total_bytes / shown_bytes:.1f}%"), f"All there is: {memory_text(total_bytes)}"
            )


def _total_bytes(where: str, sample: MachineSample) -> int:
    if where == "gpu" and sample.gpus:
        return sample.gpus[0].memory_total
    return sample.memory_total
