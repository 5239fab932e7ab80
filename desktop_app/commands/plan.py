"""Say before a job is started what it will need here: memory term by term with its formula, and disk.

Reads headers alone and starts nothing. The same arithmetic as in the window.
"""

from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from desktop_app import paths
from desktop_app.domain.convert_spec import ConvertSpec
from desktop_app.errors import ModelError, SpecError
from desktop_app.hardware.sensors import machine_sample
from desktop_app.jobs.submit import with_absolute_paths
from desktop_app.library.model_folder import listed_facts, model_facts
from desktop_app.memory_plan import amount_text
from desktop_app.memory_plan.disk import DiskRoom, disk_rooms
from desktop_app.memory_plan.job_plan import JobPlan, Known, job_plan
from desktop_app.storage.index import Index

from .follow import read_spec
from .text import json_text, printable, size_text

_VERDICTS = {"fits": "fits", "tight": "tight", "does_not_fit": "does not fit"}


def print_plan(spec_file: str, as_json: bool) -> int:
    """Print the plan of a spec; 0 whether or not it fits, for only the user can say what else may be closed.

    Raises:
        AppError: the spec or its model cannot be read, or the spec names no model.
    """
    spec = with_absolute_paths(read_spec(Path(spec_file)))
    model = getattr(spec, "model", None)
    if model is None:
        raise SpecError(
            f"kind: a job of the kind {spec.kind!r} names no model here, so there is nothing to plan with.",
            "Plan a spec of the kind finetune, quantize, evaluate, convert, export or bring_in.",
            "kind",
        )
    facts = listed_facts(Path(model)) if isinstance(spec, ConvertSpec) else model_facts(Path(model))
    if facts.problem and not isinstance(spec, ConvertSpec):
        raise ModelError(facts.problem, facts.hint)
    jobs = Index(paths.index_file()).jobs() if paths.index_file().is_file() else []
    plan = job_plan(spec, facts, Known(sample=machine_sample(), jobs=jobs))
    output = getattr(spec, "output", None)
    rooms = disk_rooms(plan.memory.disk, paths.jobs_dir(), Path(output) if output else None)
    if as_json:
        found = {**asdict(plan.memory), "volumes": [asdict(room) for room in rooms]}
        fitting = None if plan.fitting is None else plan.fitting.changes
        print(json_text({**found, "fits_with": fitting}))
        return 0
    _print_lines(plan, rooms)
    return 0


def _print_lines(plan: JobPlan, rooms: Iterable[DiskRoom]) -> None:
    memory = plan.memory
    print(f"{_VERDICTS[memory.verdict].capitalize()}. {printable(memory.sentence)}")
    if plan.fitting is not None:
        changes = ", ".join(f"{name}: {value}" for name, value in plan.fitting.changes.items())
        print(f"It fits with {changes}.")
    print()
    places = [
        ("GPU memory" if memory.where == "gpu" else "memory", memory.terms, memory.needed_bytes, memory.free_bytes)
    ]
    if memory.ram is not None:
        places.append(("RAM", memory.ram.terms, memory.ram.needed_bytes, memory.ram.free_bytes))
    for place, terms, needed, free in places:
        lines = [(term.name, amount_text(term.bytes), f"{term.formula}. {term.source}") for term in terms]
        lines += [("needed", amount_text(needed), place), ("free now", amount_text(free), place)]
        for name, amount, words in lines:
            print(f"{name:>16}  {amount:>10}  {printable(words)}")
    for part in memory.disk:
        print(f"{part.name:>16}  {size_text(part.bytes):>10}  {printable(part.formula)}")
    for room in rooms:
        said = f"to write, {size_text(room.free_bytes)} free at {room.folder}"
        print(f"{'disk':>16}  {size_text(room.needed_bytes):>10}  {printable(said)}")
