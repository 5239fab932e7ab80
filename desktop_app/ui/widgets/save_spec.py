"""Save a spec as a file, with the line that runs it from a terminal; or a fine-tuning's settings as a preset."""

import json
import os
import shlex
from pathlib import Path
from typing import Any

from nicegui import events, run, ui

from desktop_app.domain.finetune_spec import FinetuneSpec
from desktop_app.domain.job import job_name
from desktop_app.domain.preset import preset_text, read_preset
from desktop_app.domain.spec import JobSpec
from desktop_app.durable_file import write_synced
from desktop_app.errors import AppError, SpecError, StorageError
from desktop_app.process import own_command
from desktop_app.ui.forms.form import Form

from .banner import BannerPlace
from .button import button, icon_button
from .copying import copy
from .dialog import answer_of
from .path_picker import pick_folder

_WHOLE = "All settings in one JSON file, to run again here, from a terminal or on another computer."
_SETTINGS = "The settings that differ from the defaults, as YAML, for other models and data."
_MOST_PRESET_BYTES = 100_000


async def save_form(form: Form[Any], banner: BannerPlace, folder: str) -> None:
    """Ask where to save what a form holds; a form with a problem says it in `banner` instead."""
    try:
        spec = form.to_spec()
    except AppError as error:
        banner.show(error)
        return
    await _ask_where_to_save(spec, folder)


async def _ask_where_to_save(spec: JobSpec, folder: str) -> None:
    """Show the dialog; a file that exists is not overwritten."""
    start = Path(folder) if folder else Path.home()
    with ui.dialog() as dialog, ui.card().classes("!w-[560px] !max-w-full") as card:
        card.props["aria-label"] = "Save as spec"
        ui.label("Save as spec").classes("t-lead")
        about = ui.label(_WHOLE).classes("c-2")
        with ui.row().classes("w-full gap-2 no-wrap items-start"):
            path = ui.input(value=str(start / f"{job_name(spec)}.json")).classes("grow").mark("spec-path")
            path.props('aria-label="File" spellcheck=false')
            icon_button("o_folder_open", "Choose another folder", lambda: _choose_folder(path))
        text = ui.label().classes("t-mono box well w-full p-2 max-h-[200px] overflow-y-auto").mark("spec-text")
        text.classes("whitespace-pre-wrap break-words").props("tabindex=0").props["aria-label"] = "What is saved"
        line = ui.label().classes("t-mono box well w-full p-2 break-all").mark("run-line")

        def show() -> None:
            file = _file_of(path)
            about.set_text(_SETTINGS if _is_preset(spec, file) else _WHOLE)
            text.set_text(spec_text(spec, file))
            line.set_text("" if _is_preset(spec, file) else run_line(file))
            line.set_visibility(bool(line.text))

        path.on_value_change(show)
        show()
        if isinstance(spec, FinetuneSpec):
            kinds = {".json": "Everything", ".yaml": "Preset, without model and data"}

            def choose(event: events.ValueChangeEventArguments) -> None:
                if (file := Path(str(path.value))).name:
                    path.value = str(file.with_suffix(event.value))

            kind = ui.toggle(kinds, value=".json", on_change=choose).classes("self-start").mark("spec-kind")
            kind.props('aria-label="What to save"')
        with ui.row().classes("w-full justify-end gap-2"):
            button("Cancel", kind="quiet", on_click=dialog.close)
            copying = button("Copy the line", on_click=lambda: copy(line.text, "Copied the line."))
            copying.bind_visibility_from(line, "visible")  # a preset is nothing that a terminal runs
            button("Save", kind="primary", on_click=lambda: _save(spec, path, dialog)).mark("save-spec-file")
    await answer_of(dialog)


def run_line(file: Path) -> str:
    """Return the line that runs a spec by this very program, packaged or not, in a terminal of any folder."""
    parts = own_command("run", str(file))
    if os.name == "nt":
        return " ".join(f'"{part}"' if set(part) & set(" &()'") else part for part in parts)
    return shlex.join(parts)


def spec_text(spec: JobSpec, file: Path) -> str:
    """Return what a file will hold: the spec; where its name ends with .yaml the settings of a fine-tuning alone."""
    if isinstance(spec, FinetuneSpec) and _is_preset(spec, file):
        return preset_text(spec)
    return json.dumps(spec.model_dump(mode="json"), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def save_spec(spec: JobSpec, file: Path) -> None:
    """Write a spec into a new file.

    Raises:
        StorageError: the file exists, or it cannot be written.
    """
    if file.exists():
        raise StorageError(f"{file} exists already.", "Choose another name.")
    try:
        write_synced(file, spec_text(spec, file))
    except OSError as error:
        raise StorageError(f"{file} cannot be written: {error.strerror}.", "Choose another folder.") from error


def opened_preset(file: Path) -> dict[str, Any]:
    """Read the settings of a preset.

    Raises:
        AppError: it cannot be read, or a setting is wrong.
    """
    try:
        if file.stat().st_size > _MOST_PRESET_BYTES:
            raise SpecError(f"{file} is too large for a preset.", "Choose a preset that was saved here.")
        return read_preset(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise StorageError(f"{file} cannot be read.", "Choose a preset that was saved here.") from error


def _is_preset(spec: JobSpec, file: Path) -> bool:
    return isinstance(spec, FinetuneSpec) and file.suffix.lower() in (".yaml", ".yml")


def _file_of(path: ui.input) -> Path:
    file = Path(str(path.value))
    try:
        return file.expanduser().absolute()
    except RuntimeError:  # the home of somebody who is not known here
        return file.absolute()


async def _choose_folder(path: ui.input) -> None:
    file = Path(str(path.value))
    picked = await pick_folder("Choose a folder", file.parent)
    if picked:
        path.value = str(Path(picked) / file.name)


async def _save(spec: JobSpec, path: ui.input, dialog: ui.dialog) -> None:
    try:
        await run.io_bound(save_spec, spec, _file_of(path))
    except AppError as error:
        path.error = str(error)
        return
    dialog.close()
    ui.notify(f"Saved as {path.value}")
