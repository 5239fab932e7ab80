"""Let the user pick a file or a folder: by the system's own dialog in the native window, else by our folder browser.

NOTE: NiceGUI's requests to the native window share one queue without ids; two at once would take each other's
answer, hence the lock.
"""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from nicegui import app

from .folder_browser import browse, nearest_folder

_native_dialog = asyncio.Lock()


async def pick_folder(title: str, start: str | Path = "") -> str | None:
    """Ask for a folder, beginning at `start`; return its absolute path, None if nothing was picked."""
    return await _pick(title, start, None)


async def pick_file(title: str, suffixes: Sequence[str], start: str | Path = "") -> str | None:
    """Ask for a file whose name ends with one of `suffixes` ('.jsonl'); return its absolute path or None."""
    return await _pick(title, start, suffixes)


def typed_path(text: object) -> str:
    """Understand a typed or pasted path, also as file managers give it: quoted, or as file:// address."""
    path = str(text or "").strip().strip("'\"")
    if path.startswith("file://"):
        from urllib.parse import unquote
        from urllib.request import url2pathname

        path = url2pathname(unquote(path.removeprefix("file://")))
    return str(Path(path).expanduser().absolute()) if path else ""


async def _pick(title: str, start: str | Path, suffixes: Sequence[str] | None) -> str | None:
    window = app.native.main_window
    if window is None:
        return await browse(title, start, suffixes)
    import webview  # the native window has loaded it already

    kind = webview.FileDialog.FOLDER if suffixes is None else webview.FileDialog.OPEN
    patterns = ";".join(f"*{suffix}" for suffix in suffixes or ())
    types = (f"{title} ({patterns})", "All files (*.*)") if suffixes else ()
    async with _native_dialog:
        picked = await window.create_file_dialog(kind, directory=str(nearest_folder(start)), file_types=types)
    return str(picked[0]) if picked else None
