"""A dialog that walks through the folders of this computer, for the window in a browser.

Reads folders in a thread. Hidden entries are left out; whoever needs one types its path.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nicegui import events, run, ui

from desktop_app.paths import free_name, make_private_dir, portable_name, uploads_dir

from .button import button, icon_button
from .dialog import answer_of

_MOST_ENTRIES = 1000
# Arrow keys move between the entries, as in a file list.
_ARROWS = """(event) => {
  const step = {ArrowDown: 'nextElementSibling', ArrowUp: 'previousElementSibling'}[event.key];
  if (!step) return;
  event.preventDefault();
  const item = document.activeElement.closest('.q-item');
  (item ? item[step] : event.currentTarget.querySelector('.q-item'))?.focus();
}"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """What is in `folder`: names of folders and fitting files, and why that is not all."""

    folder: Path
    folders: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    problem: str = ""


async def browse(title: str, start: str | Path, suffixes: Sequence[str] | None) -> str | None:
    """Let the user pick a file that ends with one of `suffixes`, or a folder if that is None; None if cancelled."""
    browser = _Browser(title, suffixes)
    await browser.go(nearest_folder(start))
    picked = await answer_of(browser.dialog)
    return str(picked) if picked else None


def list_folder(folder: Path, suffixes: Sequence[str] | None) -> Listing:
    """Read one folder; a folder that cannot be read gets a listing that says why."""
    folders: list[str] = []
    files: list[str] = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                if entry.is_dir():
                    folders.append(entry.name)
                elif suffixes is not None and entry.name.lower().endswith(tuple(suffixes)):
                    files.append(entry.name)
    except OSError as error:
        return Listing(folder=folder, problem=f"This folder cannot be read: {error.strerror}.")
    folders.sort(key=str.lower)
    files.sort(key=str.lower)
    room = max(0, _MOST_ENTRIES - len(folders))
    left_out = len(folders) + len(files) - _MOST_ENTRIES
    return Listing(
        folder=folder,
        folders=tuple(folders[:_MOST_ENTRIES]),
        files=tuple(files[:room]),
        problem=f"{left_out:,} more are not shown; type the path above." if left_out > 0 else "",
    )


def nearest_folder(start: str | Path) -> Path:
    """Return `start` or the nearest folder above it that exists; the home folder if nothing is given."""
    if not str(start):
        return Path.home()
    path = Path(start).expanduser().absolute()
    return next((place for place in (path, *path.parents) if place.is_dir()), Path.home())


class _Browser:
    def __init__(self, title: str, suffixes: Sequence[str] | None) -> None:
        self.suffixes = suffixes
        self.folder = Path.home()
        with ui.dialog() as self.dialog, ui.card().classes("!w-[560px] !max-w-full no-wrap") as card:
            card.props["aria-label"] = title
            ui.label(title).classes("t-lead")
            with ui.row().classes("w-full gap-1 items-center no-wrap"):
                icon_button("o_arrow_upward", "Folder above", lambda: self.go(self.folder.parent))
                icon_button("o_home", "Home folder", lambda: self.go(Path.home()))
                self.path = ui.input().classes("grow t-mono").props('aria-label="Path" spellcheck=false')
                self.path.mark("browse-path").on("keydown.enter", lambda: self._typed())
            self.list = ui.list().classes("w-full h-[320px] overflow-y-auto box py-1").props("dense")
            self.list.on("keydown", js_handler=_ARROWS)
            self.note = ui.label().classes("t-small c-3")
            with ui.row().classes("w-full justify-end gap-2"):
                if suffixes is not None:
                    self._draw_upload(suffixes)
                button("Cancel", on_click=lambda: self.dialog.submit(None))
                if suffixes is None:
                    button("Choose this folder", kind="primary", on_click=lambda: self._typed(is_final=True))

    def _draw_upload(self, suffixes: Sequence[str]) -> None:
        """Send a file of the browser's computer here, where that is another one; it streams to the disk."""
        upload = ui.upload(auto_upload=True, on_upload=self._uploaded, max_files=1).classes("hidden")
        upload.props(f'accept="{",".join(suffixes)}"')
        button("Upload", "o_upload", kind="quiet", on_click=lambda: upload.run_method("pickFiles"))
        ui.space()

    async def _uploaded(self, event: events.UploadEventArguments) -> None:
        target = free_name(make_private_dir(uploads_dir()) / portable_name(event.file.name))
        try:
            await event.file.save(target)
        except OSError as error:
            self.note.text = f"{event.file.name} cannot be stored here: {error.strerror}."
            return
        self.dialog.submit(target)

    async def go(self, folder: Path) -> None:
        """Show another folder."""
        listing = await run.io_bound(list_folder, folder, self.suffixes)
        if listing is None:
            return
        self.folder = listing.folder
        self.path.value = str(listing.folder)
        self.note.text = listing.problem or self._hint(listing)
        self.list.clear()
        with self.list:
            for name in listing.folders:
                self._entry("o_folder", name)
            for name in listing.files:
                self._entry("o_description", name)

    def _entry(self, icon: str, name: str) -> None:
        target = self.folder / name
        is_file = icon == "o_description"

        async def choose() -> None:
            if is_file:
                self.dialog.submit(target)
            else:
                await self.go(target)

        with ui.item(on_click=choose), ui.row().classes("items-center gap-2 no-wrap w-full"):
            ui.icon(icon).classes("text-[18px] c-3").props("aria-hidden=true")
            ui.label(name).classes("truncate")

    async def _typed(self, is_final: bool = False) -> None:
        """Go to the typed path; `is_final` takes it if it is a folder, so that nobody has to press Enter first."""
        path = Path(str(self.path.value).strip()).expanduser().absolute()
        is_folder, is_file = await run.io_bound(lambda: (path.is_dir(), path.is_file())) or (False, False)
        if is_folder and is_final:
            self.dialog.submit(path)
        elif is_folder:
            await self.go(path)
        elif is_file and self.suffixes is not None:
            self.dialog.submit(path)
        else:
            self.note.text = f"{path} does not exist." if not is_file else f"{path.name} is a file; choose a folder."

    def _hint(self, listing: Listing) -> str:
        if self.suffixes is not None and not listing.files:
            return f"No file here ends with {', '.join(self.suffixes)}."
        if self.suffixes is None and not listing.folders:
            return "No folders in here."
        return ""
