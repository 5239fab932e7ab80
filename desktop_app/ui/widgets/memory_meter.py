"""Does it fit? The verdict first, then a stacked bar whose words say the same without colour."""

from dataclasses import dataclass

from nicegui import ui

from desktop_app.domain.machine import MachineSample
from desktop_app.memory_plan import MemoryPlan
from desktop_app.ui.wording import memory_text

from .hint import hint

_VERDICTS = {
    "fits": ("It fits", "o_check_circle", "c-good"),
    "tight": ("It is tight", "o_error_outline", "c-warn"),
    "does_not_fit": ("It does not fit", "o_cancel", "c-bad"),
}
_ONE_LINE = 75
_TINTS = ("part-1", "part-2", "part-3", "part-4")
# Small terms stand with the larger one that they come with, so that four tints are enough.
_TOGETHER = {"Optimizer": "Adapter", "Gradients": "Adapter", "Logits": "Activations", "Cache": "Activations"}


@dataclass(slots=True)
class _Part:
    name: str
    bytes: int
    tint: str
    formula: str


def memory_meter(plan: MemoryPlan, sample: MachineSample) -> None:
    """Draw the verdict, the bar with the terms of `plan`, and their names; a term's formula shows on hover."""
    words, icon, colour = _VERDICTS[plan.verdict]
    other_bytes = max(0, _total_bytes(plan, sample) - plan.free_bytes)
    parts = [_Part("Other programs", other_bytes, "part-other", "What the system and other programs hold now.")]
    parts += _terms(plan)
    if plan.free_bytes > plan.needed_bytes:
        parts.append(_Part("Free", plan.free_bytes - plan.needed_bytes, "part-free", "Stays free."))
    is_long = len(plan.sentence) > _ONE_LINE  # beside the verdict it would make a narrow column
    with ui.row().classes("w-full items-baseline gap-x-2 gap-y-1" + ("" if is_long else " no-wrap")):
        ui.icon(icon).classes(f"{colour} text-[16px] self-start mt-[3px]")
        ui.label(words).classes("t-lead whitespace-nowrap")
        ui.label(plan.sentence).classes("c-2 min-w-0" + (" basis-full" if is_long else "")).mark("plan")
    _draw_bar(parts, plan, other_bytes + plan.free_bytes)
    with ui.row().classes("w-full gap-x-4 gap-y-1"):
        for part in parts:
            with ui.row().classes("items-center gap-1.5 t-small no-wrap"):
                ui.element("span").classes(f"swatch {part.tint}")
                ui.label(part.name).classes("c-2")
                ui.label(memory_text(part.bytes))
                ui.tooltip(part.formula).classes("whitespace-pre-line")


def _terms(plan: MemoryPlan) -> list[_Part]:
    """The terms as parts of the bar, some of them together."""
    parts: dict[str, _Part] = {}
    for term in plan.terms:
        group = _TOGETHER.get(term.name, term.name)
        formula = f"{term.name}: {term.formula}. {term.source}"
        if group in parts:
            part = parts[group]
            part.name = f"{part.name}, {term.name.lower()}"
            part.bytes += term.bytes
            part.formula += f"\n{formula}"
        else:
            parts[group] = _Part(term.name, term.bytes, _TINTS[len(parts) % len(_TINTS)], formula)
    return [part for part in parts.values() if part.bytes]


def _draw_bar(parts: list[_Part], plan: MemoryPlan, total_bytes: int) -> None:
    """Draw the bar; where more is needed than there is, a line marks the end of the memory."""
    shown_bytes = max(1, total_bytes, sum(part.bytes for part in parts))
    with ui.element("div").classes("relative w-full"):
        with ui.element("div").classes("meter w-full").props("role=img") as bar:
            bar.props["aria-label"] = f"Memory plan: {plan.sentence}"
            for part in parts:
                ui.element("div").classes(part.tint).style(f"flex: {part.bytes / shown_bytes:.4f}")
        if shown_bytes > max(1, total_bytes):
            line = (
                ui.element("div").classes("absolute w-[2px]").style("top: -4px; bottom: -4px; background: var(--bad)")
            )
            hint(
                line.style(f"left: {100 * total_bytes / shown_bytes:.1f}%"), f"All there is: {memory_text(total_bytes)}"
            )


def _total_bytes(plan: MemoryPlan, sample: MachineSample) -> int:
    if plan.where == "gpu" and sample.gpus:
        return sample.gpus[0].memory_total
    return sample.memory_total
