"""Save a text as a new file: the name is proposed, the folder can be chosen, nothing is overwritten."""

from pathlib import Path

from nicegui import run, ui

from desktop_app.errors import AppError
from desktop_app.storage.conversations import write_new

from .button import button, icon_button
from .dialog import answer_of
from .path_picker import pick_folder


async def save_text(title: str, name: str, text: str, folder: str = "") -> None:
    """Ask where to save `text`, beginning with the file `name` in `folder`, and write it."""
    start = Path(folder) if folder else Path.home()
    with ui.dialog() as dialog, ui.card().classes("!w-[560px] !max-w-full") as card:
        card.props["aria-label"] = title
        ui.label(title).classes("t-lead")
        with ui.row().classes("w-full gap-2 no-wrap items-start"):
            path = ui.input(value=str(start / name)).classes("grow").mark("save-path")
            path.props('aria-label="File" spellcheck=false autofocus')

            async def choose() -> None:
                picked = await pick_folder("Choose a folder", Path(str(path.value)).parent)
                if picked:
                    path.value = str(Path(picked) / Path(str(path.value)).name)

            icon_button("o_folder_open", "Choose another folder", choose)

        async def save() -> None:
            try:
                await run.io_bound(write_new, Path(str(path.value)).expanduser().absolute(), text)
            except AppError as error:
                path.error = str(error)
                return
            dialog.close()
            ui.notify(f"Saved as {path.value}")

        path.on("keydown.enter", save)
        with ui.row().classes("w-full justify-end gap-2"):
            button("Cancel", kind="quiet", on_click=dialog.close)
            button("Save", kind="primary", on_click=save).mark("save-text")
    await answer_of(dialog)
