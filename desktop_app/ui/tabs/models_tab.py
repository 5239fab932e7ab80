"""Models: the folders on this computer that hold a model, and what each says about itself.

Knows no file format: facts come from `KnownModels`. The chosen model is the one that the forms work on.
"""

from pathlib import Path

from nicegui import run, ui

from desktop_app.errors import ModelError
from desktop_app.library.catalogue import hub_cache_dirs
from desktop_app.paths import demo_dir
from desktop_app.ui.forms.finetune_form import demo_spec
from desktop_app.ui.model_scan import ModelScan
from desktop_app.ui.widgets.banner import BannerPlace
from desktop_app.ui.widgets.button import button
from desktop_app.ui.widgets.empty_state import empty_state
from desktop_app.ui.widgets.model_pane import ModelPane
from desktop_app.ui.widgets.model_table import ModelTable
from desktop_app.ui.widgets.page import TitleBar
from desktop_app.ui.widgets.path_picker import pick_folder
from desktop_app.ui.widgets.scan_line import ScanLine
from desktop_app.ui.window_state import WindowState

_FOLLOW_S = 0.3
_SIGNS_OF_A_MODEL = ("config.json", "adapter_config.json", "*.gguf", "*.safetensors", "*.bin", "*.pt", "*.pth")


def draw(state: WindowState) -> None:
    """Draw the tab into the current page."""
    _ModelsTab(state)


class _ModelsTab:
    def __init__(self, state: WindowState) -> None:
        self.state = state
        self.models = state.models
        self.scan = ModelScan(self.models, state.reader)
        with TitleBar("Models"):
            self.actions = ui.row().classes("gap-2 items-center no-wrap")
        self.banner = BannerPlace()
        ScanLine(self.scan)
        with ui.column().classes("w-full grow min-h-0 overflow-y-auto p-4 no-wrap items-center") as self.empty:
            self._draw_empty()
        with ui.row().classes("w-full grow min-h-0 gap-0 no-wrap items-stretch") as self.filled:
            self.table = ModelTable(state.choose_model)
            self.pane = ModelPane(state)
        with self.actions:
            self._draw_actions()
        self._shown: tuple[str, int] | None = None
        self.models.changed.subscribe(self._show)
        self.scan.changed.subscribe(self._show)
        ui.timer(_FOLLOW_S, self._follow_choice)
        ui.timer(0, self.models.read_missing, once=True)
        self._show()

    def _draw_actions(self) -> None:
        search = ui.input(placeholder="Search", on_change=lambda event: self.table.search(event.value or ""))
        search.classes("w-[180px]").props('aria-label="Search the models" clearable').mark("search-models")
        with search.add_slot("prepend"):
            ui.icon("o_search")
        button("Scan folders", on_click=self._ask_where_to_scan)
        button("Add a model folder", on_click=self._add)

    def _draw_empty(self) -> None:
        with empty_state(
            "o_inventory_2",
            "No models yet",
            "Add a folder that holds a model in the Transformers layout (config.json and safetensors), "
            "or see everything work with the small model that comes with Whetstone.",
            "The demo takes about a minute and needs no internet.",
        ):
            button("Try it with the demo", "o_play_arrow", "primary", self._try_the_demo)
            button("Add a model folder", on_click=self._add)
            button("Scan folders", kind="quiet", on_click=self._ask_where_to_scan)

    def _show(self) -> None:
        """Show the list as it is now."""
        listed = [self.models.facts[path] for path in self.models.paths if path in self.models.facts]
        is_empty = not self.models.paths
        self.empty.set_visibility(is_empty)
        self.actions.set_visibility(not is_empty)
        self.filled.set_visibility(not is_empty)
        self.table.show(listed, self.models.made_by, self.state.model, is_busy=bool(self.models.unread))
        chosen = self.models.facts.get(self.state.model) if self.state.model in self.models.paths else None
        self.pane.show(chosen, self.models.made_by.get(self.state.model, ""))
        self._chosen = self.state.model

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
        """Add a picked folder; one that holds models deeper down adds those, one that holds none is told."""
        picked = await pick_folder("Choose a model folder", self._last_folder())
        if not picked:
            return
        self.banner.clear()
        if await run.io_bound(_may_hold_a_model, Path(picked)):
            await self.models.read(picked)
            self.models.add([picked])
            self.state.choose_model(picked)
            return
        before = set(self.models.paths)
        await self.scan.run([picked])
        if self.scan.found:
            self.state.choose_model(next((path for path in self.models.paths if path not in before), self.state.model))
            return
        self.scan.dismiss()
        self.banner.show(
            ModelError(
                f"{Path(picked).name or picked} holds no model.",
                f"Looked in {picked} and its subfolders for config.json with safetensors weights.",
            ),
            {"Choose another folder": self._add},
        )

    async def _ask_where_to_scan(self) -> None:
        caches = [str(path) for path in await run.io_bound(hub_cache_dirs) or []]
        with ui.dialog() as dialog, ui.card() as card:
            card.props["aria-label"] = "Scan folders"
            ui.label("Scan folders for models").classes("t-lead")
            ui.label("Nothing is copied or changed; what is found appears in the list.").classes("c-2")
            for cache in caches:
                button("Scan the Hugging Face cache", on_click=lambda cache=cache: dialog.submit([cache])).tooltip(
                    cache
                )
            if not caches:
                ui.label("There is no Hugging Face cache on this computer.").classes("t-small c-3")
            with ui.row().classes("w-full justify-end gap-2 pt-1"):
                button("Cancel", kind="quiet", on_click=dialog.close)
                button("Choose a folder", kind="primary", on_click=lambda: dialog.submit("pick"))
        roots = await dialog
        dialog.delete()
        if roots == "pick":
            picked = await pick_folder("Choose a folder to scan", self._last_folder())
            roots = [picked] if picked else None
        if roots:
            await self.scan.run(roots)

    def _last_folder(self) -> str:
        folders = [path for path in self.state.settings.model_folders if not path.startswith(str(demo_dir()))]
        return str(Path(folders[-1]).parent) if folders else ""


def _may_hold_a_model(folder: Path) -> bool:
    try:
        return any(True for sign in _SIGNS_OF_A_MODEL for _ in folder.glob(sign))
    except OSError:
        return True  # read it, so that the reason is told
