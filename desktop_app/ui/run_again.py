"""Run a job again: its form opens filled in; one without a form is handed in as it was."""

from collections.abc import Callable

from nicegui import run

from desktop_app.domain.finetune_spec import FinetuneSpec
from desktop_app.domain.job import Job
from desktop_app.domain.quantize_spec import QuantizeSpec
from desktop_app.domain.spec import parse_spec
from desktop_app.errors import AppError
from desktop_app.jobs import submit

from .widgets.variants_dialog import queue_variants
from .window_state import WindowState
from .work_time import time_again

_WITH_FORM = ("finetune", "quantize")


async def run_again(state: WindowState, job: Job) -> None:
    """Open the job's form with its settings, or hand it in once more.

    Raises:
        SpecError: another version of the program wrote the spec and this one cannot read it.
        StorageError: the new job cannot be written.
        JobError: no supervisor could be started.
    """
    if job.kind in _WITH_FORM and not job.spec.get("checkpoint"):
        state.fill_form(job.spec)
        return
    state.open_job(await run.io_bound(submit.submit, parse_spec(job.spec)))


def can_be_varied(job: Job) -> bool:
    """Whether a job has settings of which several values make sense."""
    return job.kind in _WITH_FORM and not job.spec.get("checkpoint")


async def vary(state: WindowState, job: Job, on_error: Callable[[AppError], object]) -> None:
    """Queue a job again with one or two fields changed; a spec that cannot be read is told to `on_error`."""
    try:
        spec = parse_spec(job.spec)
    except AppError as error:  # written by another version
        on_error(error)
        return
    assert isinstance(spec, FinetuneSpec | QuantizeSpec)
    await queue_variants(state, spec, lambda made: time_again(state, made))
