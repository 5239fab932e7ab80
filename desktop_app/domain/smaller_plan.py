"""What to change in a fine-tuning that ran out of memory so that it can go on from its checkpoint.

One change at a time, in the order of what it costs: smaller batches added up to the same effective batch, activations
computed twice, shorter examples, an optimizer that remembers in 8 bits. Each says what is kept and what is not.
"""

from typing import Any

from .finetune_spec import FinetuneSpec
from .value import Value

_SHORTEST = 64


class SmallerPlan(Value):
    """Changes of a spec so far; `notes` say each of them to the user, the newest last."""

    changes: dict[str, Any] = {}
    notes: tuple[str, ...] = ()


def smaller_plan(spec: FinetuneSpec, before: SmallerPlan | None = None) -> SmallerPlan | None:
    """Return the next smaller plan for a spec (which holds the changes of `before`), None if there is none."""
    found = _smaller_batch(spec) or _checkpointing(spec) or _shorter(spec) or _optimizer(spec)
    if found is None:
        return None
    changes, note = found
    done = before or SmallerPlan()
    return SmallerPlan(changes={**done.changes, **changes}, notes=(*done.notes, note))


def _smaller_batch(spec: FinetuneSpec) -> tuple[dict[str, Any], str] | None:
    least = 2 if spec.objective == "kto" else 1  # KTO compares answers within a batch
    effective = spec.batch_size * spec.gradient_accumulation  # of each process
    sizes = [size for size in range(least, spec.batch_size // 2 + 1) if effective % size == 0]
    if not sizes:
        return None
    size = max(sizes)
    return {"batch_size": size, "gradient_accumulation": effective // size}, (
        f"Batches of {size} in place of {spec.batch_size}, {effective // size} of them added up to one step of "
        f"{spec.effective_batch} examples as before. Weights, optimizer, schedule and the order of the examples go on; "
        "losses stay comparable, though not to the last digit."
    )


def _checkpointing(spec: FinetuneSpec) -> tuple[dict[str, Any], str] | None:
    if spec.activation_checkpointing:
        return None
    return {"activation_checkpointing": True}, (
        "Activations are computed a second time in place of being held: about a third slower. Everything else goes on "
        "as it was; losses stay comparable."
    )


def _shorter(spec: FinetuneSpec) -> tuple[dict[str, Any], str] | None:
    length = max(_SHORTEST, spec.max_length // 2)
    if length >= spec.max_length:
        return None
    return {"max_length": length}, (
        f"Examples are cut at {length:,} tokens in place of {spec.max_length:,}. Weights, optimizer and schedule go "
        "on; losses before and after are no longer comparable, for longer examples lose their ends."
    )


def _optimizer(spec: FinetuneSpec) -> tuple[dict[str, Any], str] | None:
    if spec.optimizer not in ("adamw", "paged_adamw"):
        return None
    return {"optimizer": f"{spec.optimizer}_8bit"}, (
        "The optimizer remembers in 8 bits. It is one of another kind, so it begins with an empty memory; weights and "
        "schedule go on. Losses stay comparable, but may rise for some steps."
    )
