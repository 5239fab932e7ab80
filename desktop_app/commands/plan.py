"""Say before a job is started what it will need here: memory term by term with its formula, and disk.

Reads headers alone and starts nothing. The same arithmetic as in the window.
"""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from desktop_app import paths
from desktop_app.domain.spec import ComputingSpec, JobSpec
from desktop_app.errors import ModelError, SpecError
from desktop_app.hardware.disk import free_bytes
from desktop_app.hardware.sensors import machine_sample
from desktop_app.jobs.submit import with_absolute_paths
from desktop_app.library.model_folder import model_facts
from desktop_app.memory_plan import MemoryPlan, amount_text, memory_plan

from .follow import read_spec
from .text import json_text, printable, size_text

_VERDICTS = {"fits": "fits", "tight": "tight", "does_not_fit": "does not fit"}


def print_plan(spec_file: str, as_json: bool) -> int:
    """Print the plan of a spec; 0 whether or not it fits, for only the user can say what else may be closed.

    Raises:
        AppError: the spec or its model cannot be read, or this kind of job loads no model.
    """
    spec = _computing(with_absolute_paths(read_spec(Path(spec_file))))
    facts = model_facts(Path(spec.model))
    if facts.problem:
        raise ModelError(facts.problem, facts.hint)
    plan = memory_plan(spec, facts, machine_sample())
    disk = _disk(spec, plan)
    if as_json:
        print(json_text({**asdict(plan), "disk": disk}))
        return 0
    _print_lines(plan, disk)
    return 0


def _computing(spec: JobSpec) -> ComputingSpec:
    if not isinstance(spec, ComputingSpec):
        raise SpecError(
            f"kind: a job of the kind {spec.kind!r} loads no model, so there is no memory to plan.",
            "Plan a spec of the kind finetune, quantize or evaluate.",
            "kind",
        )
    return spec


def _disk(spec: ComputingSpec, plan: MemoryPlan) -> dict[str, Any]:
    """What is written where, and how much is free there; checkpoints lie with the job, results where the spec says."""
    folder = Path(getattr(spec, "output", None) or paths.jobs_dir())
    return {"folder": str(folder), "needed_bytes": plan.disk_bytes, "free_bytes": free_bytes(folder)}


def _print_lines(plan: MemoryPlan, disk: dict[str, Any]) -> None:
    place = "GPU memory" if plan.where == "gpu" else "memory"
    print(f"{_VERDICTS[plan.verdict].capitalize()}. {printable(plan.sentence)}\n")
    lines = [(term.name, amount_text(term.bytes), f"{term.formula}. {term.source}") for term in plan.terms]
    lines += [("needed", amount_text(plan.needed_bytes), place), ("free now", amount_text(plan.free_bytes), place)]
    free = f"to write, {size_text(disk['free_bytes'])} free at {disk['folder']}"
    for name, amount, words in [*lines, ("disk", size_text(disk["needed_bytes"]), free)]:
        print(f"{name:>16}  {amount:>10}  {printable(words)}")
