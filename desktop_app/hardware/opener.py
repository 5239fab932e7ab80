"""Show a file or folder in the system's own file manager. Files are shown, never opened: opening could run them."""

import sys
from pathlib import Path

from desktop_app.errors import StorageError
from desktop_app.process import run_program


def reveal(path: Path | str) -> None:
    """Open the folder `path`, or the folder of the file `path` with the file selected where the system can do that.

    Raises:
        StorageError: it is not there any more, or no file manager could be started.
    """
    path = Path(path).absolute()
    if not path.exists():
        raise StorageError(f"{path} is not there any more.", "It may have been moved, renamed or deleted.")
    if not any(run_program(command) or sys.platform == "win32" for command in _commands(path)):
        raise StorageError("No file manager could be started.", f"Open the folder yourself: {_folder(path)}")


def _commands(path: Path) -> list[list[str]]:
    """What to try, the best first."""
    if sys.platform == "win32":  # Explorer's exit code is 1 in any case
        return [["explorer.exe", str(path)] if path.is_dir() else ["explorer.exe", "/select,", str(path)]]
    if sys.platform == "darwin":
        return [["open", str(path)] if path.is_dir() else ["open", "-R", str(path)]]
    if path.is_dir():
        return [["xdg-open", str(path)]]
    show = ["gdbus", "call", "--session", "--dest", "org.freedesktop.FileManager1"]
    show += ["--object-path", "/org/freedesktop/FileManager1"]
    show += ["--method", "org.freedesktop.FileManager1.ShowItems", f"['{path.as_uri()}']", ""]
    return [show, ["xdg-open", str(path.parent)]]


def _folder(path: Path) -> Path:
    return path if path.is_dir() else path.parent
