"""Start a job from the window: where its result goes, and when its turn comes."""

from datetime import datetime
from pathlib import Path

from nicegui import run

from desktop_app.domain.estimate import Estimate
from desktop_app.domain.finetune_spec import FinetuneSpec
from desktop_app.domain.job import KINDS_THAT_GO_ON, job_name
from desktop_app.domain.quantize_spec import QuantizeSpec
from desktop_app.jobs.submit import submit
from desktop_app.memory_plan import MemoryPlan
from desktop_app.paths import portable_name

from .queue_time import waiting_s
from .window_state import WindowState
from .wording import duration_text


async def start_job(state: WindowState, spec: FinetuneSpec | QuantizeSpec, estimate: Estimate | None = None) -> str:
    """Submit a spec in a thread and return the job's id; without an `output` the folder of the settings is taken.

    `estimate` is what the window said about its time; a measurement that goes on is ended.

    Raises:
        AppError: what is wrong with the spec or the storage; nothing was started then.
    """
    folder = state.settings.output_folder
    if folder and spec.output is None:
        # The time makes it unique, also among jobs that wait and have not made their folder yet.
        name = f"{job_name(spec)}-{datetime.now():%Y%m%d-%H%M%S}"
        spec = spec.model_copy(update={"output": str(Path(folder) / portable_name(name))})
    state.probe.stop()  # the job comes first
    return await run.io_bound(submit, spec, estimate)


def when_it_starts(state: WindowState, plan: MemoryPlan | None) -> str:
    """Say when a job that is submitted now will start, or that the plan speaks against it."""
    if plan is not None and plan.verdict == "does_not_fit":
        return "By this estimate it does not fit; Start tries all the same."
    waiting = [job for job in state.queued_jobs if job.kind not in KINDS_THAT_GO_ON]
    active = state.active_job
    if active is not None and active.kind in KINDS_THAT_GO_ON:
        active = None  # it does not compute; nobody waits for it
    if active is None and not waiting:
        return "Starts at once"
    seconds, unknown = waiting_s(active, waiting)
    left = f", in about {duration_text(seconds)}" if seconds and not unknown else ""
    before = [*filter(None, [active]), *waiting]
    return f"Starts after {before[0].name if len(before) == 1 else f'{len(before)} other jobs'}{left}"
