"""Say before a job is started what it will need here: memory term by term with its formula, disk, and time.

Reads headers and data, and starts no job. The same arithmetic as in the window.
"""

from dataclasses import asdict
from pathlib import Path

from desktop_app import paths
from desktop_app.domain.finetune_spec import FinetuneSpec
from desktop_app.domain.job import Job
from desktop_app.domain.probe import Probe
from desktop_app.domain.spec import AnySpec
from desktop_app.errors import SpecError
from desktop_app.hardware.sensors import machine_sample
from desktop_app.jobs.spec_paths import with_absolute_paths
from desktop_app.memory_plan import amount_text
from desktop_app.memory_plan.job_plan import PlanReport
from desktop_app.services.client import Service
from desktop_app.services.planning import plan_report
from desktop_app.services.probe import Prober
from desktop_app.storage.index import Index

from .follow import read_spec
from .text import duration_text, json_text, printable, size_text

_VERDICTS = {"fits": "fits", "tight": "tight", "does_not_fit": "does not fit", "unknown": "unknown"}


def print_plan(spec_file: str, as_json: bool, with_probe: bool = False) -> int:
    """Print the plan of a spec; 0 whether or not it fits, for only the user can say what else may be closed.

    `with_probe`: train a few steps first, and take the time from them.

    Raises:
        AppError: the spec or its model cannot be read, the spec names no model, or the probe cannot be made.
    """
    spec = with_absolute_paths(read_spec(Path(spec_file)))
    jobs = Index(paths.index_file()).jobs() if paths.index_file().is_file() else []
    probe = _probe(spec, jobs, is_told=not as_json) if with_probe else None
    inspect = Service("inspect")
    try:
        plan = plan_report(spec, inspect, machine_sample(), jobs, probe)
    finally:
        inspect.close()
    if as_json:
        print(json_text(asdict(plan) | {"probe": None if probe is None else probe.model_dump()}))
    else:
        _print_lines(plan)
    return 0


def _probe(spec: AnySpec, jobs: list[Job], is_told: bool) -> Probe:
    if not isinstance(spec, FinetuneSpec):
        raise SpecError(
            f"kind: a job of the kind {spec.kind!r} has no steps to measure.", "Leave out '--probe'.", "kind"
        )
    prober, said = Prober(), [""]

    def say(stage: str) -> None:
        if is_told and stage.partition(",")[0] != said[-1]:
            said.append(stage.partition(",")[0])
            print(f"{said[-1]} ...", flush=True)

    try:
        return prober.probe(spec, jobs, say)
    finally:
        prober.stop()


def _print_lines(memory: PlanReport) -> None:
    print(f"{_VERDICTS[memory.verdict].capitalize()}. {printable(memory.sentence)}")
    if memory.fits_with is not None:
        changes = ", ".join(f"{name}: {value}" for name, value in memory.fits_with.items())
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
    for room in memory.volumes:
        said = f"to write, {size_text(room.free_bytes)} free at {room.folder}"
        print(f"{'disk':>16}  {size_text(room.needed_bytes):>10}  {printable(said)}")
    _print_time(memory)
    if memory.start_with is not None:
        print(f"\n{printable(memory.start_with.sentence)}")
        if memory.start_with.changes:
            print("As settings: " + ", ".join(f"{name}: {value}" for name, value in memory.start_with.changes.items()))


def _print_time(plan: PlanReport) -> None:
    if plan.probe is not None:
        rows = f"rows of up to {plan.probe.longest:,} tokens, {plan.probe.steps} steps on {plan.probe.device}"
        print(f"{'measured peak':>16}  {amount_text(plan.probe.peak_bytes):>10}  {rows}")
        print(f"{'measured rate':>16}  {f'{plan.probe.tokens_per_s:,.0f}/s':>10}  tokens, without padding")
    if plan.time is not None:
        span = f"{duration_text(plan.time.least_s)} to {duration_text(plan.time.most_s)}"
        print(f"{'time':>16}  {duration_text(plan.time.seconds):>10}  {span}; {plan.time.formula}")
    elif plan.time_problem:
        print(f"{'time':>16}  {'unknown':>10}  {printable(plan.time_problem)}")
