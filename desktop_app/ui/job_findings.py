"""What a training that ended means, drawn in words, each finding with the button that does something about it."""

from collections.abc import Callable
from functools import partial

from nicegui import run, ui

from desktop_app import paths
from desktop_app.domain.figure_words import label
from desktop_app.domain.finetune_spec import FinetuneSpec
from desktop_app.domain.job import Job, job_name
from desktop_app.domain.run_findings import RunFinding, RunFix
from desktop_app.domain.run_record import RunRecord
from desktop_app.errors import AppError
from desktop_app.job_folder import JobFolder
from desktop_app.jobs.findings import findings_of

from .forms.finetune_form import FinetuneForm
from .job_figures import setting_text
from .start_job import start_job
from .widgets.button import button
from .widgets.data_findings import LOOKS
from .window_state import WindowState


class JobFindings:
    """A place for the findings of the job that is shown; empty it takes no room. `is_small`: in a pane at the side."""

    def __init__(self, state: WindowState, on_error: Callable[[AppError], object], is_small: bool = False) -> None:
        self._is_small = is_small
        self._state = state
        self._on_error = on_error
        self._shown: object = None
        self._place = ui.column().classes("w-full gap-0 shrink-0")
        self._place.set_visibility(False)

    async def show(self, job: Job, record: RunRecord) -> None:
        """Show what a job's figures say, once for each of its ends."""
        key = (job.id, job.state, job.ended, record.event_count if job.state.is_terminal else 0)
        if key == self._shown:
            return
        self._shown = key
        found = await run.io_bound(findings_of, job, record)
        if found is None or key != self._shown:
            return
        self._place.clear()
        with self._place:
            if found:
                self._draw(job, record, found)
        self._place.set_visibility(bool(found))

    def _draw(self, job: Job, record: RunRecord, found: list[RunFinding]) -> None:
        with ui.column().classes("w-full gap-3").mark("run-findings"):
            ui.label("What it means").classes("t-lead")
            for finding in found:
                icon, colour, name = LOOKS[finding.severity]
                with ui.row().classes("w-full gap-2.5 items-start no-wrap"):
                    ui.icon(icon).classes(f"{colour} text-[18px] mt-px").props(f'role=img aria-label="{name}"')
                    text = ui.column().classes("gap-0.5 min-w-0 flex-1")
                    with text:
                        ui.label(finding.message).classes("break-words")
                        ui.label(finding.evidence).classes("t-small c-3 break-words")
                    act = partial(self._do, job, record, finding.fix)
                    do = button(finding.fix.label, on_click=act).classes("shrink-0").mark(f"do-{finding.code}")
                    if self._is_small:
                        do.classes("mt-1").move(text)

    async def _do(self, job: Job, record: RunRecord, fix: RunFix) -> None:
        try:
            if fix.step is not None:
                spec = await run.io_bound(_of_checkpoint, job, record, fix.step)
                self._state.open_job(await start_job(self._state, spec))
            else:
                self._state.fill_form({**job.spec, **fix.changes})
                if fix.changes:  # some of the fields stand among the advanced ones
                    ui.notify("Filled in like that run, with a change:", caption=_changes_text(fix))
        except AppError as error:
            self._on_error(error)


def _changes_text(fix: RunFix) -> str:
    return " · ".join(
        f"{FinetuneForm.labels.get(name, label(name))}: {setting_text(name, value)}"
        for name, value in fix.changes.items()
    )


def _of_checkpoint(job: Job, record: RunRecord, step: int) -> FinetuneSpec:
    """The spec that makes a result of the checkpoint at a step; reads the job's folder, for its plan may have changed.

    Raises:
        AppError: the folder cannot be read.
    """
    folder = JobFolder(paths.jobs_dir() / job.id)
    spec = folder.read_spec()
    assert isinstance(spec, FinetuneSpec)
    place = next(point.path for point in reversed(record.checkpoints) if point.step == step)
    name = f"{job_name(spec)} at step {step}"[:80]
    return spec.model_copy(update={"checkpoint": str(folder.path / place), "name": name, "output": None})
