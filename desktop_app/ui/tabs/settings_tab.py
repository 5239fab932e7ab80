"""Settings: what the user prefers, saved at once; and where this program keeps its files."""

import platform
from pathlib import Path

from nicegui import run, ui

from desktop_app import __version__
from desktop_app.errors import AppError
from desktop_app.hardware.opener import reveal
from desktop_app.licences import carried_licences
from desktop_app.paths import APP_NAME, data_dir
from desktop_app.ui.widgets.button import button, icon_button
from desktop_app.ui.widgets.hint import hint
from desktop_app.ui.widgets.page import TitleBar, page_body
from desktop_app.ui.widgets.path_picker import pick_folder
from desktop_app.ui.widgets.pause_rules import PauseRules
from desktop_app.ui.widgets.program_access import ProgramAccess
from desktop_app.ui.window_state import WindowState

_THEMES = {"system": "Like the system", "light": "Light", "dark": "Dark"}
_OFFLINE = {
    True: "No part of Whetstone uses the network.",
    False: "The network is used only when you press Download, and only for that.",
}
# What the program carries without being a library with metadata of its own.
_OWN_LICENCES = (("Whetstone", "Apache-2.0"), ("Roboto, Material Icons", "Apache-2.0"))


def draw(state: WindowState) -> None:
    """Draw the tab into the current page."""
    _SettingsTab(state)


class _SettingsTab:
    def __init__(self, state: WindowState) -> None:
        self.state = state
        self.settings = state.settings
        TitleBar("Settings")
        with page_body(), ui.element("div").classes("grid w-full gap-x-6 gap-y-5 items-start") as grid:
            grid.style("grid-template-columns: 120px minmax(0, 1fr)")
            self._draw_preferences()
            self._draw_folders()
            self._draw_programs()
            self._draw_about()
        state.models.changed.subscribe(self._show_folders)

    def _draw_preferences(self) -> None:
        _name("Theme")
        theme = ui.toggle(_THEMES, value=self.settings.theme, on_change=lambda event: self._set("theme", event.value))
        theme.props('aria-label="Theme"').classes("justify-self-start").mark("theme")
        _name("Network")
        with ui.column().classes("gap-1"):
            offline = ui.checkbox("Stay offline", value=self.settings.offline).props("dense size=sm").mark("offline")
            offline.on_value_change(lambda event: self._set_offline(event.value))
            self.offline_note = ui.label(_OFFLINE[self.settings.offline]).classes("t-small c-3")
        _name("Notifications")
        with ui.column().classes("gap-1"):
            told = ui.checkbox("Tell me when a job has ended", value=self.settings.notifications)
            told.props("dense size=sm").mark("notifications")
            told.on_value_change(lambda event: self._set("notifications", event.value))
            ui.label("By a notification of the system, for when the window is behind others.").classes("t-small c-3")
            sound = ui.checkbox("With a sound", value=self.settings.sound).props("dense size=sm").mark("sound")
            sound.on_value_change(lambda event: self._set("sound", event.value))
        _name("Sleep")
        with ui.column().classes("gap-1"):
            awake = ui.checkbox("Keep the computer awake while a job runs", value=self.settings.keep_awake)
            awake.props("dense size=sm").mark("keep-awake")
            awake.on_value_change(lambda event: self._set("keep_awake", event.value))
            ui.label("The display may go dark. Closing the lid still does what you set it to do.").classes(
                "t-small c-3"
            )
        _name("Pause jobs")
        PauseRules(self.settings, self._set)

    def _draw_programs(self) -> None:
        _name("Other programs")
        ProgramAccess(self.state)

    def _draw_folders(self) -> None:
        _name("Results", "pt-[5px]")
        with ui.column().classes("gap-1 w-full"):
            with ui.row().classes("w-full gap-2 no-wrap"):
                self.output = ui.input(value=self.settings.output_folder, placeholder="In each job's own folder")
                self.output.classes("grow").props('aria-label="Folder for results" spellcheck=false').mark(
                    "output-folder"
                )
                self.output.on("blur", self._save_output).on("keydown.enter", self._save_output)
                icon_button("o_folder_open", "Choose a folder for results", self._pick_output)
            ui.label("Where finished models go, unless a job names its own folder.").classes("t-small c-3")
        _name("Models")
        self.folders = ui.column().classes("gap-0 w-full")
        self._show_folders()
        _name("Data folder")
        with ui.column().classes("gap-1 w-full"):
            with ui.row().classes("w-full gap-2 items-center no-wrap"):
                ui.label(str(data_dir())).classes("t-mono c-2 break-all").mark("data-folder")
                icon_button("o_folder_open", "Show the data folder", self._reveal)
            ui.label("Jobs, history and settings. WHETSTONE_DATA_DIR moves it.").classes("t-small c-3")

    def _draw_about(self) -> None:
        _name("Version")
        ui.label(f"{APP_NAME} {__version__} on Python {platform.python_version()}, {platform.system()}").classes("c-2")
        _name("Licences")
        with ui.column().classes("gap-1 w-full") as self.licences:
            for name, licence in _OWN_LICENCES:
                _licence_row(name, licence)
            self.all_licences = button("Show the libraries' licences", kind="quiet", on_click=self._show_licences)
            self.all_licences.classes("-ml-3").mark("licences")

    async def _show_licences(self) -> None:
        """List what the program carries, each as its own metadata states it."""
        self.all_licences.disable()
        try:
            carried = await run.io_bound(carried_licences)
        except AppError as error:
            self.all_licences.enable()
            ui.notify(error.message, caption=error.hint, type="negative")
            return
        self.all_licences.delete()
        with self.licences:
            for each in carried:
                _licence_row(f"{each.name} {each.version}", each.licence)

    def _show_folders(self) -> None:
        self.folders.clear()
        with self.folders:
            for folder in self.settings.model_folders:
                with ui.row().classes("w-full h-[30px] gap-2 items-center no-wrap"):
                    hint(ui.label(folder).classes("t-mono c-2 truncate grow"), folder)
                    remove = icon_button("o_close", "Remove from the list; its files stay")
                    remove.on_click(lambda folder=folder: self.state.models.remove(folder)).mark(f"remove-{folder}")
            if not self.settings.model_folders:
                ui.label("No model folder is on the list.").classes("c-3")
            button("Add a model folder", kind="quiet", on_click=self._add_folder).classes("-ml-3")

    def _set(self, name: str, value: object) -> None:
        setattr(self.settings, name, value)
        self.state.settings_changed.emit()

    def _set_offline(self, value: bool) -> None:
        self._set("offline", value)
        self.offline_note.set_text(_OFFLINE[value])

    async def _save_output(self) -> None:
        """Keep the folder if it can be one; an empty field means each job's own folder."""
        text = str(self.output.value or "").strip()
        folder = str(Path(text).expanduser()) if text else ""
        if folder and not Path(folder).is_absolute():
            self.output.error = "Write the whole path, from the root."
            return
        self.output.error = None
        if folder != self.settings.output_folder:
            self._set("output_folder", folder)
            ui.notify("Results go there from now on." if folder else "Results stay in each job's folder.")

    async def _pick_output(self) -> None:
        picked = await pick_folder("Choose a folder for results", self.settings.output_folder)
        if picked:
            self.output.value = picked
            await self._save_output()

    async def _add_folder(self) -> None:
        picked = await pick_folder("Choose a model folder")
        if picked:
            self.state.models.add([picked])

    async def _reveal(self) -> None:
        try:
            await run.io_bound(reveal, data_dir())
        except AppError as error:
            ui.notify(error.message)


def _name(text: str, offset: str = "") -> None:
    ui.label(text).classes(f"c-2 font-medium {offset}")


def _licence_row(name: str, licence: str) -> None:
    with ui.row().classes("w-full gap-3 no-wrap"):
        ui.label(name).classes("grow whitespace-nowrap")
        ui.label(licence).classes("c-3 text-right")
