"""What a user can do with a model's files: check, convert, rename, show, delete; with a question where it matters.

What depends on a model is named before anything is lost.
"""

from collections.abc import Awaitable, Callable
from pathlib import Path

from nicegui import run, ui

from desktop_app.domain.convert_spec import ConvertSpec
from desktop_app.domain.job import Job
from desktop_app.domain.model_facts import ModelFacts
from desktop_app.errors import AppError, JobError
from desktop_app.hardware.opener import reveal
from desktop_app.jobs.submit import submit
from desktop_app.library.model_removal import delete_places, places_of, rename_model, size_of

from .model_filter import dependents, needing
from .widgets.bundle_dialog import make_bundle
from .widgets.button import button
from .widgets.dialog import answer_of
from .widgets.evaluate_dialog import evaluate_model
from .widgets.export_dialog import export_model
from .widgets.question import ask
from .window_state import WindowState
from .wording import size_text

_VERIFY_STALL_S = 60.0
_MOST_NAMES = 3

Told = Callable[[AppError], object]
ModelAction = Callable[[WindowState, ModelFacts, Told], Awaitable[None]]


async def verify(state: WindowState, facts: ModelFacts, told: Told) -> None:
    """Read the whole model again with progress and Cancel, and say what was found."""
    share: dict[str, int] = {"done": 0, "total": 0}
    with ui.dialog().props("persistent") as dialog, ui.card().classes("w-[440px] gap-3") as card:
        card.props["aria-label"] = f"Check {facts.name}"
        title = ui.label(f"Checking {facts.name}").classes("t-lead break-words")
        bar = ui.linear_progress(0, show_value=False, size="6px").props('aria-label="Progress"')
        how_far = ui.label("Reading every file and its checksum.").classes("c-3")
        found = ui.column().classes("w-full gap-1")
        with ui.row().classes("w-full justify-end gap-2"):
            close = button("Cancel", on_click=state.reader.cancel)

    def follow() -> None:
        if share["total"]:
            bar.set_value(share["done"] / share["total"])
            how_far.set_text(f"{size_text(share['done'])} of {size_text(share['total'])}")

    timer = ui.timer(0.2, follow)
    dialog.open()
    try:
        answer = await run.io_bound(
            state.reader.call, "verify_model", _VERIFY_STALL_S, on_progress=share.update, path=facts.path
        )
        problems, findings = list(answer["problems"]), list(answer["findings"])
    except AppError as error:
        problems, findings = [f"{error.message} {error.hint}".strip()], []
    timer.cancel()
    bar.set_visibility(False)
    how_far.set_visibility(False)
    title.set_text(f"{facts.name} is as it should be" if not problems else f"{facts.name} could not be confirmed")
    with found:
        for icon, colour, texts in (("o_error_outline", "c-bad", problems), ("o_check", "c-good", findings)):
            for text in texts:
                with ui.row().classes("w-full items-start gap-2 no-wrap"):
                    ui.icon(icon).classes(f"{colour} text-[16px] mt-0.5").props("aria-hidden=true")
                    ui.label(text).classes("min-w-0 break-words")
    close.set_text("Close")
    close.on_click(dialog.close)
    await answer_of(dialog)


async def convert(state: WindowState, facts: ModelFacts, told: Told) -> None:
    """Hand in the job that writes old weights as safetensors, and show it."""
    try:
        state.open_job(await run.io_bound(submit, ConvertSpec(model=facts.path)))
    except AppError as error:
        told(error)


async def export(state: WindowState, facts: ModelFacts, told: Told) -> None:
    """Ask in which form and to where, and hand in the job that exports it."""
    await export_model(state, {facts.path: facts.name})


async def evaluate(state: WindowState, facts: ModelFacts, told: Told) -> None:
    """Ask what to compare with and on what text, and hand in the job that measures."""
    await evaluate_model(state, facts.path)


async def bundle(state: WindowState, facts: ModelFacts, told: Told) -> None:
    """Ask what goes along to another computer, and hand in the job that packs it."""
    await make_bundle(state, facts.path)


async def rename(state: WindowState, facts: ModelFacts, told: Told) -> None:
    """Ask for a new name and rename the folder or file."""
    adapters = needing(facts.path, state.models.facts.values())
    with ui.dialog() as dialog, ui.card().classes("question gap-3") as card:
        card.props["aria-label"] = f"Rename {facts.name}"
        ui.label(f"Rename {facts.name}").classes("t-lead break-words")
        text = f"Renames {facts.path} on the disk."
        if adapters:
            text += f" {_names(adapters)} will no longer find it: adapters name their base by its folder."
        ui.label(text).classes("c-2 break-words")
        field = ui.input(value=Path(facts.path).name).classes("w-full").props("autofocus").mark("new-name")
        field.props["aria-label"] = "New name"
        field.on("keydown.enter", lambda: dialog.submit(field.value))
        with ui.row().classes("w-full justify-end gap-2 pt-1"):
            button("Rename", on_click=lambda: dialog.submit(field.value))
            button("Keep the name", kind="primary", on_click=dialog.close)
    name = await answer_of(dialog)
    if not name or name == Path(facts.path).name:
        return
    try:
        _refuse_if_in_use(state.jobs, facts)
        new = str(await run.io_bound(rename_model, Path(facts.path), str(name)))
        state.models.notes.move(facts.path, new)
    except AppError as error:
        told(error)
        return
    models = state.models
    if facts.path in models.settings.model_folders:
        models.settings.model_folders = [new if path == facts.path else path for path in models.settings.model_folders]
    models.facts.pop(facts.path, None)
    await models.read(new)
    state.choose_model(new)
    await state.look_at_folders()
    ui.notify(f"It is called {Path(new).name} now.")


async def delete(state: WindowState, facts: ModelFacts, told: Told) -> None:
    """Say what depends on the model and how much goes, then delete it."""
    try:
        _refuse_if_in_use(state.jobs, facts)
        places = await run.io_bound(places_of, Path(facts.path))
        size = size_text(await run.io_bound(size_of, places))
    except AppError as error:
        told(error)
        return
    text = "\n".join([*map(str, places), *_what_depends(state, facts)])
    yes = f"Delete {size}"
    if (
        await ask(f"Delete {facts.name}?", f"{text}\nThe files are removed for good.", [yes, "Keep it"], "Keep it")
        != yes
    ):
        return
    try:
        await run.io_bound(delete_places, places)
        state.models.notes.set(facts.path, (), "")
    except AppError as error:
        told(error)
        return
    state.choose_model("")
    state.models.remove(facts.path)
    await state.look_at_folders()
    ui.notify(f"Deleted {facts.name}.")


async def show_folder(state: WindowState, facts: ModelFacts, told: Told) -> None:
    """Show the folder in the system's file manager."""
    try:
        await run.io_bound(reveal, facts.path)
    except AppError as error:
        told(error)


def _what_depends(state: WindowState, facts: ModelFacts) -> list[str]:
    """Say in sentences what becomes of adapters, results and jobs when the model goes."""
    known = list(state.models.facts.values())
    adapters = needing(facts.path, known)
    made = [other for other in dependents(facts.path, known) if other not in adapters]
    jobs = [job for job in state.jobs if job.model == facts.path]
    sentences = []
    if adapters:
        sentences.append(f"{_names(adapters)} cannot be used without it.")
    if made:
        sentences.append(f"{_names(made)}, made from it, can still be used.")
    if jobs:
        count = f"{len(jobs):,} jobs" if len(jobs) > 1 else f"The job {jobs[0].name}"
        sentences.append(f"{count} in the history cannot be run again.")
    return sentences


def _names(models: list[ModelFacts]) -> str:
    names = ", ".join(facts.name for facts in models[:_MOST_NAMES])
    more = len(models) - _MOST_NAMES
    return f"{names} and {more:,} more" if more > 0 else names


def _refuse_if_in_use(jobs: list[Job], facts: ModelFacts) -> None:
    user = next(
        (job for job in jobs if not job.state.is_terminal and facts.path in (job.model, *job.spec.get("variants", ()))),
        None,
    )
    if user is not None:
        raise JobError(f"{user.name} needs {facts.name}.", "Wait until the job has ended, or cancel it.")
