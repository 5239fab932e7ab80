"""Save a copy of a result folder where the user wants it, with progress and a way to give up."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from nicegui import run, ui

from desktop_app.domain.job import Job
from desktop_app.errors import AppError
from desktop_app.result_folder import copy_result

from .widgets.button import button
from .widgets.dialog import put_away
from .widgets.path_picker import pick_folder
from .wording import size_text


@dataclass(slots=True)
class _Copying:
    """How far the copying thread is; the page looks at it, and sets `is_given_up`."""

    done: int = 0
    total: int = 0
    is_given_up: bool = False

    def tell(self, done: int, total: int) -> bool:
        self.done, self.total = done, total
        return not self.is_given_up


async def save_elsewhere(job: Job, result: Path, on_error: Callable[[AppError], object]) -> None:
    """Ask for a folder and copy the result into it under the job's name; a problem goes to `on_error`."""
    parent = await pick_folder("Save a copy of the result in")
    if parent is None:
        return
    target = Path(parent) / (result.name if result.name != "result" else job.id)
    copying = _Copying()
    dialog = _draw_progress(copying, target)
    dialog.open()
    try:
        if await run.io_bound(copy_result, result, target, copying.tell):
            ui.notify(f"Saved as {target}.")
    except AppError as error:
        on_error(error)
    finally:
        put_away(dialog)


def _draw_progress(copying: _Copying, target: Path) -> ui.dialog:
    def show() -> None:
        bar.set_value(copying.done / copying.total if copying.total else 0)
        said.set_text(f"{size_text(copying.done)} of {size_text(copying.total)}" if copying.total else "")

    def give_up() -> None:
        copying.is_given_up = True

    with ui.dialog().props("persistent") as dialog, ui.card():
        ui.label("Saving a copy").classes("t-lead")
        ui.label(str(target)).classes("t-mono c-2 break-all")
        bar = ui.linear_progress(0, show_value=False, size="6px").props('aria-label="Progress"')
        with ui.row().classes("w-full items-center"):
            said = ui.label("").classes("c-2")
            ui.space()
            button("Cancel", on_click=give_up)
        ui.timer(0.2, show)
    return dialog
