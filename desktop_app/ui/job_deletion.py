"""Delete a job with its files, after a question that says how much goes and what stays."""

from collections.abc import Callable
from pathlib import Path

from nicegui import run, ui

from desktop_app import paths
from desktop_app.domain.job import Job
from desktop_app.errors import AppError
from desktop_app.jobs import submit

from .widgets.question import ask
from .wording import size_text


def folder_bytes(folder: Path) -> int:
    """Add up the sizes of all files in a folder; what vanishes meanwhile or cannot be read counts as nothing."""
    total = 0
    for path in folder.rglob("*"):
        try:
            total += 0 if path.is_symlink() or not path.is_file() else path.stat().st_size
        except OSError:
            continue
    return total


async def delete_job(job: Job, on_error: Callable[[AppError], object]) -> bool:
    """Ask, then delete; return whether it was done. A problem goes to `on_error` in words."""
    folder = paths.jobs_dir() / job.id
    size = size_text(await run.io_bound(folder_bytes, folder))
    result = Path(job.result) if job.result else None
    text = "Its settings, log, checkpoints and result are removed for good."
    if result is not None and not result.is_relative_to(folder):
        text = f"Its settings, log and checkpoints are removed for good. The result in {result} stays."
    yes = f"Delete {size}"
    if await ask(f"Delete {job.name}?", f"{text}\nThat frees {size}.", [yes, "Keep it"], safe="Keep it") != yes:
        return False
    try:
        await run.io_bound(submit.delete, job.id)
    except AppError as error:
        on_error(error)
        return False
    ui.notify(f"Deleted {job.name}.")
    return True
