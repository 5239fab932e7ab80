"""The dialog that says where models are looked for: watched folders, and the caches of other programs."""

from pathlib import Path

from nicegui import run, ui

from desktop_app.library.model_stores import ModelStore, model_stores
from desktop_app.paths import models_dir
from desktop_app.ui.window_state import WindowState

from .button import button, icon_button
from .dialog import answer_of
from .hint import hint
from .path_picker import pick_folder


async def edit_folders(state: WindowState) -> None:
    """Show the dialog until it is closed, then search what was added."""
    stores = await run.io_bound(model_stores) or []
    with ui.dialog() as dialog, ui.card().classes("w-[520px] gap-3") as card:
        card.props["aria-label"] = "Where models are looked for"
        _Folders(state, stores, dialog)
    await answer_of(dialog)
    await state.look_at_folders()


class _Folders:
    def __init__(self, state: WindowState, stores: list[ModelStore], dialog: ui.dialog) -> None:
        self.state = state
        self.models = state.models
        ui.label("Where models are looked for").classes("t-lead")
        ui.label("These folders are watched: what is added there appears in the list by itself.").classes("c-2")
        self.list = ui.column().classes("w-full gap-0")
        self._show()
        caches = ui.checkbox("Look in the caches of other programs", value=state.settings.look_in_caches)
        caches.props("dense size=sm").mark("look-in-caches")
        caches.on_value_change(lambda event: self._set_caches(bool(event.value), stores))
        with ui.column().classes("w-full gap-0 pl-6 -mt-2"):
            for store in stores:
                with ui.row().classes("w-full gap-2 no-wrap items-baseline"):
                    ui.label(store.program).classes("c-2 whitespace-nowrap w-[96px]")
                    hint(ui.label(str(store.folder)).classes("t-mono c-3 truncate min-w-0"), str(store.folder))
            if not stores:
                ui.label("None was found: Hugging Face, LM Studio and Ollama keep none here.").classes("t-small c-3")
        with ui.row().classes("w-full justify-end gap-2 pt-1"):
            button("Add a folder", on_click=self._add)
            button("Search all again", on_click=lambda: self._search_again(dialog))
            button("Done", kind="primary", on_click=dialog.close)

    def _show(self) -> None:
        self.list.clear()
        with self.list:
            for folder in self.state.settings.watched_folders:
                with ui.row().classes("w-full h-[30px] gap-2 items-center no-wrap"):
                    hint(ui.label(folder).classes("t-mono truncate grow"), folder)
                    remove = icon_button("o_close", "No longer watch it; its files stay")
                    remove.on_click(lambda folder=folder: self._remove(folder)).mark(f"unwatch-{folder}")
            with ui.row().classes("w-full h-[30px] gap-2 items-center no-wrap"):
                hint(ui.label(str(models_dir())).classes("t-mono truncate grow"), str(models_dir()))
                ui.label("what you bring in").classes("t-small c-3 whitespace-nowrap")

    async def _add(self) -> None:
        folders = self.state.settings.watched_folders
        picked = await pick_folder("Choose a folder to watch", str(Path(folders[-1]).parent) if folders else "")
        if picked:
            self.models.watch(picked)
            self._show()

    def _remove(self, folder: str) -> None:
        self.models.unwatch(folder)
        self._show()

    def _set_caches(self, value: bool, stores: list[ModelStore]) -> None:
        self.state.settings.look_in_caches = value
        for store in () if value else stores:
            self.models.forget_root(str(store.folder))

    async def _search_again(self, dialog: ui.dialog) -> None:
        dialog.close()
        await self.state.scan.run(await run.io_bound(self.models.roots) or [])
