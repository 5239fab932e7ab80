"""The question before the window closes while a job is at work, and what follows from the answer."""

import asyncio
from collections.abc import Callable

from nicegui import run, ui

from desktop_app.domain.job import Job, JobState
from desktop_app.errors import AppError
from desktop_app.jobs import submit

from .widgets.question import ask

KEEP = "Keep running in background"
STOP = "Stop and save, then quit"
STAY = "Cancel"
_SAVED_WITHIN_S = 600.0
_POLL_S = 0.3


async def ask_before_closing(job: Job, waiting: int, close: Callable[[], None]) -> None:
    """Ask in the current page; call `close` once the window may go. `waiting` more jobs are queued."""
    more = f" {waiting} more {'job waits' if waiting == 1 else 'jobs wait'} and will be worked on." if waiting else ""
    can_save = job.kind == "finetune"
    doing = {JobState.PAUSED: "is paused", JobState.QUEUED: "waits for its turn"}.get(job.state, "is at work")
    text = f"{job.name} {doing}.{more} Jobs do not need the window; at the next start you see how they went."
    answer = await ask(
        "Close the window?", text, [STAY, *([STOP] if can_save else []), KEEP], safe=KEEP, dismissed=STAY
    )
    if answer == KEEP or (answer == STOP and await _stop_and_wait(job)):
        close()


async def _stop_and_wait(job: Job) -> bool:
    """Let the job save what it has; whether the window may go now."""
    try:
        await run.io_bound(submit.stop, job.id)
        folder = submit.folder_of(job.id)
    except AppError as error:
        ui.notify(error.message, caption=error.hint, type="negative")
        return False
    with ui.dialog(value=True).props("persistent") as dialog, ui.card():
        ui.label(f"{job.name} saves what it has learned").classes("t-lead")
        ui.label("Then the window closes.").classes("c-2")
        ui.linear_progress(show_value=False, size="4px").props("indeterminate aria-label='Saving'")
    waited_s = 0.0
    while waited_s < _SAVED_WITHIN_S and not folder.has_outcome:
        await asyncio.sleep(_POLL_S)
        waited_s += _POLL_S
    dialog.close()
    return True
