"""Models: the folders on this computer that hold a model, and what each says about itself.

Knows no file format: facts come from `KnownModels`. The chosen model is the one that the forms work on.
"""

from pathlib import Path

from nicegui import background_tasks, run, ui

from desktop_app.errors import ModelError
from desktop_app.paths import demo_dir
from desktop_app.ui.forms.finetune_form import demo_spec
from desktop_app.ui.widgets.banner import BannerPlace
from desktop_app.ui.widgets.bring_in_dialog import bring_in
from desktop_app.ui.widgets.button import button
from desktop_app.ui.widgets.download_dialog import download
from desktop_app.ui.widgets.empty_state import empty_state
from desktop_app.ui.widgets.hint import hint
from desktop_app.ui.widgets.model_filter_bar import ModelFilterBar
from desktop_app.ui.widgets.model_folders import edit_folders
from desktop_app.ui.widgets.model_pane import ModelPane
from desktop_app.ui.widgets.model_table import ModelTable
from desktop_app.ui.widgets.page import TitleBar
from desktop_app.ui.widgets.path_picker import pick_folder
from desktop_app.ui.widgets.scan_line import ScanLine
from desktop_app.ui.window_state import WindowState

_FOLLOW_S = 0.3
_SIGNS_OF_A_MODEL = ("config.json", "adapter_config.json", "*.safetensors", "*.bin", "*.pt", "*.pth")


def draw(state: WindowState) -> None:
    """Draw the tab into the current page."""
    _ModelsTab(state)


class _ModelsTab:
    def __init__(self, state: WindowState) -> None:
        self.state = state
        self.models = state.models
        self.scan = state.scan
        self.bar = ModelFilterBar(self._show)
        with TitleBar("Models") as self.title:
            self.actions = ui.row().classes("gap-2 items-center no-wrap")
        self.banner = BannerPlace()
        ScanLine(self.scan)
        with ui.column().classes("w-full grow min-h-0 overflow-y-auto p-4 no-wrap items-center") as self.empty:
            self._draw_empty()
        with ui.column().classes("w-full grow min-h-0 gap-0 no-wrap") as self.filled:
            self.bar.draw_chips()
            with ui.row().classes("w-full grow min-h-0 gap-0 no-wrap items-stretch"):
                with ui.column().classes("grow min-w-0 h-full gap-0 no-wrap"):
                    self.table = ModelTable(self._choose)
                    with ui.column().classes("w-full items-center gap-2 p-6") as self.none:
                        ui.label("No model fits the filter.").classes("c-2")
                        button("Show all", on_click=self.bar.clear)
                self.pane = ModelPane(state, self.banner.show)
        with self.actions:
            self._draw_actions()
        self.dialogs = ui.element("div").classes("hidden")
        self._chosen = ""
        self.models.changed.subscribe(self._show)
        self.scan.changed.subscribe(self._show)
        state.dropped.subscribe(self._take_dropped)
        ui.timer(_FOLLOW_S, self._follow_choice)
        ui.timer(0, self._look, once=True)
        self._show()

    def _draw_actions(self) -> None:
        self.bar.draw_search()
        button("Folders", on_click=lambda: edit_folders(self.state))
        hint(button("Add", on_click=self._add), "List a model folder where it is, or watch a folder of models")
        hint(button("Bring in", on_click=lambda: bring_in(self.state)), "Copy or move a model from a stick or a folder")
        hint(button("Download", on_click=lambda: download(self.state)), "Get a model from the hub")

    def _draw_empty(self) -> None:
        with empty_state(
            "o_inventory_2",
            "No models yet",
            "Add a folder that holds a model in the Transformers layout (config.json and safetensors), or one that "
            "holds many; or see everything work with the small model that comes with Whetstone.",
            "The demo takes about a minute and needs no internet.",
        ):
            button("Try it with the demo", "o_play_arrow", "primary", self._try_the_demo)
            button("Add a model folder", on_click=self._add)
            button("Bring in", on_click=lambda: bring_in(self.state))
            button("Download", kind="quiet", on_click=lambda: download(self.state))

    async def _look(self) -> None:
        """Search what is watched, and read what the user listed."""
        await self.models.read_missing()
        await self.state.look_at_folders()

    def _show(self) -> None:
        """Show the list as it is now."""
        models = self.models
        listed = [models.facts[path] for path in models.paths if path in models.facts]
        is_empty = not models.paths
        self.empty.set_visibility(is_empty)
        self.actions.set_visibility(not is_empty)
        self.filled.set_visibility(not is_empty)
        self.bar.count(listed, models.notes.notes)
        accepts = self.bar.filter.accepts
        shown = [
            facts for facts in listed if accepts(facts, models.notes.of(facts.path), models.made_by.get(facts.path, ""))
        ]
        is_busy = bool(models.unread)
        count = f"{len(listed):,} {'model' if len(listed) == 1 else 'models'}"
        note = count if len(shown) == len(listed) else f"{len(shown):,} of {count}"
        self.title.note.set_text("" if is_empty else "Reading" if is_busy and not listed else note)
        self.table.show(shown, models.made_by, models.notes.notes, self.state.model, is_busy=is_busy)
        self.none.set_visibility(not shown and bool(listed))
        self.pane.show(models.facts.get(self.state.model) if self.state.model in models.paths else None)
        self._chosen = self.state.model

    def _choose(self, path: str) -> None:
        """Show a model, and look whether its files have changed since it was read."""
        self.state.choose_model(path)
        background_tasks.create(self.models.read(path), name=f"read {path}")

    async def _follow_choice(self) -> None:
        if self.state.model != self._chosen:
            self._show()
        for path in self.models.unread:
            self.models.need(path)

    def _try_the_demo(self) -> None:
        spec = demo_spec()
        self.models.add([spec.model])
        self.state.files.add(spec.data)
        self.state.fill_form(spec.model_dump(mode="json"))

    async def _add(self) -> None:
        """List a picked folder that is a model; watch one that holds models deeper down; tell if it holds none."""
        picked = await pick_folder("Choose a model folder", self._last_folder())
        if not picked:
            return
        self.banner.clear()
        if await run.io_bound(_may_be_a_model, Path(picked)):
            await self.models.read(picked)
            self.models.add([picked])
            self.state.choose_model(picked)
            return
        before = set(self.models.paths)
        self.models.watch(picked)
        await self.scan.run([picked])
        if self.scan.found:
            self.state.choose_model(next((path for path in self.models.paths if path not in before), self.state.model))
            return
        self.models.unwatch(picked)
        self.scan.dismiss()
        self.banner.show(
            ModelError(
                f"{Path(picked).name or picked} holds no model.",
                f"Looked in {picked} and its subfolders for config.json with safetensors weights, and GGUF files.",
            ),
            {"Choose another folder": self._add},
        )

    async def _take_dropped(self, dropped: list[str]) -> None:
        """Offer to bring in what was dragged onto the window; of several things the first."""
        if self.state.tab == "models" and dropped:
            with self.dialogs:
                await bring_in(self.state, dropped[0])

    def _last_folder(self) -> str:
        folders = [path for path in self.state.settings.model_folders if not path.startswith(str(demo_dir()))]
        return str(Path(folders[-1]).parent) if folders else ""


def _may_be_a_model(folder: Path) -> bool:
    try:
        return any(True for sign in _SIGNS_OF_A_MODEL for _ in folder.glob(sign))
    except OSError:
        return True  # read it, so that the reason is told
