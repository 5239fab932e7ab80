"""The dialog that downloads a model: its name or link, its files with sizes, a token if need be; then a job does it.

Asks the hub nothing before "Look" is pressed, and nothing at all while Whetstone is offline.
"""

from pathlib import Path
from typing import Any

from nicegui import run, ui

from desktop_app import paths
from desktop_app.domain.download_spec import DownloadSpec, repo_and_revision
from desktop_app.errors import AppError, SpecError
from desktop_app.jobs.submit import submit
from desktop_app.library.fetch_list import listed_files, write_fetch_list
from desktop_app.memory_plan.work_duration import work_duration
from desktop_app.memory_plan.work_size import facts_of_size
from desktop_app.ui.window_state import WindowState
from desktop_app.ui.wording import size_text

from .banner import BannerPlace
from .button import button
from .dialog import card_dialog, show_job_of
from .hint import hint
from .need_line import NeedLine
from .path_picker import pick_folder

_ASK_TIMEOUT_S = 60.0


async def download(state: WindowState) -> None:
    """Show the dialog until a job was handed in or it is closed."""
    with card_dialog("Download a model", "w-[560px]") as dialog:
        if state.settings.offline:
            _draw_offline(state, dialog)
        else:
            _Form(state, dialog)
    await show_job_of(dialog, state)


def _draw_offline(state: WindowState, dialog: ui.dialog) -> None:
    def open_settings() -> None:
        dialog.close()
        state.tab = "settings"

    ui.label("Whetstone is offline").classes("t-lead")
    ui.label(
        "Nothing is sent or fetched while the switch Offline is on. Switch it off in Settings to download a model, "
        "or bring one in from a USB stick."
    ).classes("c-2")
    ui.label(
        "A fetch list is a small folder for a computer that is online and has no Whetstone: plain commands that get "
        "the model. Carry it back, then bring it in; every file is compared with the hub's checksum."
    ).classes("c-2")
    problem = BannerPlace()
    with ui.row().classes("w-full gap-2 no-wrap"):
        name = ui.input(placeholder="owner/name, or the link of its page").classes("grow min-w-0").mark("fetch-name")
        name.props('spellcheck=false aria-label="Name or link"')
        button("Make a fetch list", on_click=lambda: _make_list(str(name.value or ""), None, None, problem)).mark(
            "make-list"
        )
    with ui.row().classes("w-full justify-end gap-2 pt-1"):
        button("Open Settings", on_click=open_settings)
        button("Close", kind="primary", on_click=dialog.close)


async def _make_list(name: str, found: dict[str, Any] | None, files: list[str] | None, problem: BannerPlace) -> None:
    """Ask where to, and write a fetch list there: of what the hub said, else one that asks it."""
    problem.clear()
    named = repo_and_revision(name)
    if named is None:
        problem.show(_no_name(name))
        return
    parent = await pick_folder("Make the fetch list in")
    if parent is None:
        return
    folder = Path(parent) / paths.portable_name(f"fetch-{Path(named[0]).name}")
    commit = found["commit"] if found else named[1]
    try:
        await run.io_bound(write_fetch_list, folder, named[0], commit, listed_files(found, files) if found else [])
    except AppError as error:
        problem.show(error)
        return
    ui.notify(f"The fetch list is in {folder}. FETCH.txt says what to do with it.", multi_line=True, timeout=8000)


def _no_name(name: str) -> SpecError:
    what = f"{name.strip()[:80]} is no name of a model." if name.strip() else "No model is named."
    return SpecError(what, "Write it as owner/name, or paste the link of its page.")


class _Form:
    def __init__(self, state: WindowState, dialog: ui.dialog) -> None:
        self.state = state
        self.dialog = dialog
        self.found: dict[str, Any] | None = None
        self.boxes: dict[str, ui.checkbox] = {}
        ui.label("Download a model").classes("t-lead")
        with ui.row().classes("w-full gap-2 no-wrap"):
            self.name = ui.input(placeholder="owner/name, or the link of its page").classes("grow min-w-0")
            self.name.props('spellcheck=false autofocus aria-label="Name or link"').mark("hub-name")
            self.name.on("keydown.enter", self.look)
            self.look_button = button("Look", on_click=self.look)
        self.problem = BannerPlace()
        self.files = ui.column().classes("w-full gap-0 max-h-[300px] overflow-y-auto no-wrap")
        self.sum = ui.label("").classes("t-small c-3").mark("hub-sum")
        self.need = NeedLine(state)
        with ui.expansion("Token for gated and private models").classes("w-full quiet-expansion"):
            self._draw_token()
        with ui.row().classes("w-full justify-end gap-2 pt-1"):
            fetch = button("Make a fetch list", kind="quiet", on_click=self._list).mark("make-list")
            hint(fetch, "Commands for another computer that is online and has no Whetstone")
            ui.space()
            button("Cancel", kind="quiet", on_click=dialog.close)
            self.start = button("Download", kind="primary", on_click=self._start)
        self.start.set_enabled(False)

    def _draw_token(self) -> None:
        ui.label(
            "Kept in the system's keyring and sent to the hub only. Without a keyring, start Whetstone with HF_TOKEN."
        ).classes("t-small c-3")
        with ui.row().classes("w-full gap-2 no-wrap pt-1"):
            self.token = ui.input(placeholder="hf_…").classes("grow min-w-0").mark("hub-token")
            self.token.props('type=password autocomplete=off aria-label="Token"')
            button("Keep", on_click=lambda: self._keep_token(str(self.token.value or "")))
            button("Forget", kind="quiet", on_click=lambda: self._keep_token(""))

    async def look(self) -> None:
        """Ask the hub for the files of the repository."""
        self.problem.clear()
        self._forget()
        named = repo_and_revision(str(self.name.value or ""))
        if named is None:
            self.problem.show(_no_name(str(self.name.value or "")))
            return
        self.look_button.set_enabled(False)
        self.sum.set_text("Asking the hub …")
        try:
            self.found = await run.io_bound(
                self.state.hub.call, "repo_files", _ASK_TIMEOUT_S, repo=named[0], revision=named[1]
            )
        except AppError as error:
            self.problem.show(error)
        finally:
            self.look_button.set_enabled(True)
            self.sum.set_text("")
        if self.found is not None:
            self._draw_files(self.found["files"])
            await self._add_up()

    def _forget(self) -> None:
        self.found = None
        self.boxes.clear()
        self.files.clear()
        self.need.clear()
        self.start.set_enabled(False)

    def _draw_files(self, files: list[dict[str, Any]]) -> None:
        with self.files:
            for file in sorted(files, key=lambda file: (not file["suggested"], file["name"])):
                with ui.row().classes("w-full h-[28px] items-center gap-2 no-wrap"):
                    box = ui.checkbox(file["name"], value=file["suggested"]).props("dense size=sm")
                    hint(box.classes("min-w-0 grow truncate"), file["name"])
                    box.on_value_change(self._add_up)
                    ui.label(size_text(file["size"])).classes("c-3 whitespace-nowrap pr-1")
                self.boxes[file["name"]] = box

    async def _add_up(self) -> None:
        if self.found is None:
            return
        chosen = [file for file in self.found["files"] if self.boxes[file["name"]].value]
        size = sum(file["size"] for file in chosen)
        licence = f" · licence {self.found['licence']}" if self.found["licence"] else ""
        self.sum.set_text(f"{len(chosen)} of {len(self.boxes)} files{licence}")
        self.start.set_text(f"Download {size_text(size)}")
        self.start.set_enabled(bool(chosen))
        spec = DownloadSpec(repo=self.found["repo"])
        try:
            await self.need.show(spec, facts_of_size(spec.repo, size), size)
        except AppError as error:
            self.problem.show(error)

    async def _keep_token(self, token: str) -> None:
        self.problem.clear()
        try:
            await run.io_bound(self.state.hub.call, "save_token", _ASK_TIMEOUT_S, token=token)
        except AppError as error:
            self.problem.show(error)
            return
        self.token.value = ""
        ui.notify("The token is in the system's keyring." if token else "The token is forgotten.")

    async def _list(self) -> None:
        chosen = [name for name, box in self.boxes.items() if box.value]
        await _make_list(str(self.name.value or ""), self.found, chosen, self.problem)

    async def _start(self) -> None:
        if self.found is None:
            return
        self.problem.clear()
        repo = self.found["repo"]
        files = tuple(name for name, box in self.boxes.items() if box.value)
        size = sum(file["size"] for file in self.found["files"] if file["name"] in files)
        target = paths.models_dir() / paths.portable_name(Path(repo).name)
        try:
            spec = DownloadSpec(repo=repo, revision=self.found["commit"], files=files, output=str(target))
            time = work_duration(spec, size, self.state.jobs)
            self.dialog.submit(await run.io_bound(submit, spec, time.estimate if time else None))
        except AppError as error:
            self.problem.show(error)
