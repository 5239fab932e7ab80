"""Fit it for me: the smallest change of a fine-tuning that fits, in the order of what each change costs.

The order is that of `domain.smaller_plan`, which a training that ran out of memory follows too; QLoRA comes last, for
only a training that has not begun can change how its model is held. What turns out not to be needed is taken back.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from desktop_app.domain.finetune_spec import FinetuneSpec
from desktop_app.domain.machine import MachineSample
from desktop_app.domain.model_facts import ModelFacts
from desktop_app.domain.preset import usual_learning_rate
from desktop_app.domain.smaller_plan import smaller_plan
from desktop_app.domain.training_limits import method_refusal

from . import MemoryPlan, memory_plan

# Settings that change together, the one that costs most first: the order in which changes are taken back.
_GROUPS = (
    ("max_length",),
    ("method", "learning_rate"),
    ("optimizer",),
    ("activation_checkpointing",),
    ("batch_size", "gradient_accumulation"),
)
_SHORTEST_BEFORE_QLORA = 512
_MOST_CHANGES = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitting:
    """Changes of a spec after which it fits, and its plan then."""

    changes: dict[str, Any]
    plan: MemoryPlan

    def lines(self, spec: FinetuneSpec) -> list[tuple[str, Any, Any]]:
        """Return each change as name, value now and value then."""
        return [(name, getattr(spec, name), value) for name, value in self.changes.items()]


def fitted(spec: FinetuneSpec, facts: ModelFacts, sample: MachineSample, correction: float = 1.0) -> Fitting | None:
    """Return the smallest change that fits; None where it fits already or nothing makes it fit."""

    def plan_of(changed: FinetuneSpec) -> MemoryPlan:
        return memory_plan(changed, facts, sample, correction)

    if plan_of(spec).verdict == "fits":
        return None
    now = spec
    for _ in range(_MOST_CHANGES):
        changes = _next(now, facts)
        if changes is None:
            return None
        now = now.model_copy(update=changes)
        if plan_of(now).verdict == "fits":
            now = _without_needless(spec, now, lambda tried: plan_of(tried).verdict == "fits")
            return Fitting(changes=_differences(spec, now), plan=plan_of(now))
    return None


def _next(spec: FinetuneSpec, facts: ModelFacts) -> dict[str, Any] | None:
    """The next change in the order; examples are cut below 512 tokens only when nothing else is left."""
    plan = smaller_plan(spec)
    if plan is not None and plan.changes.get("max_length", _SHORTEST_BEFORE_QLORA) >= _SHORTEST_BEFORE_QLORA:
        return plan.changes
    if spec.optimizer in ("adamw", "paged_adamw"):
        return {"optimizer": f"{spec.optimizer}_8bit"}
    if spec.method != "qlora" and not method_refusal("qlora", facts):
        return {"method": "qlora", "learning_rate": usual_learning_rate(spec.objective, "qlora")}
    return None if plan is None else plan.changes


def _without_needless(before: FinetuneSpec, after: FinetuneSpec, fits: Callable[[FinetuneSpec], bool]) -> FinetuneSpec:
    """Take back each group of changes without which it fits all the same."""
    for group in _GROUPS:
        tried = after.model_copy(update={name: getattr(before, name) for name in group})
        if tried != after and fits(tried):
            after = tried
    return after


def _differences(before: FinetuneSpec, after: FinetuneSpec) -> dict[str, Any]:
    names = [name for group in reversed(_GROUPS) for name in group]
    return {name: getattr(after, name) for name in names if getattr(after, name) != getattr(before, name)}
