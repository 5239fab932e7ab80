"""Run a job again: its form opens filled in; one without a form is handed in as it was."""

from nicegui import run

from desktop_app.domain.job import Job
from desktop_app.domain.spec import parse_spec
from desktop_app.jobs import submit

from .window_state import WindowState

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
