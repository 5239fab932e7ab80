"""Find the models on this computer below some folders, without opening any of them.

A bounded walk: at most six levels and 50,000 folders, links not followed, hidden and system folders left out.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from .adapter_folder import ADAPTER_CONFIG
from .model_config import CONFIG
from .model_files import PICKLE_SUFFIXES

MAX_DEPTH = 6
MAX_FOLDERS = 50_000
_LEFT_OUT = {
    "node_modules",
    "__pycache__",
    "site-packages",
    "proc",
    "sys",
    "dev",
    "run",
    "Windows",
    "Program Files",
    "Program Files (x86)",
    "$Recycle.Bin",
    "System Volume Information",
    "Library",
}
_WEIGHTS = (".safetensors", ".safetensors.index.json", *PICKLE_SUFFIXES)


def find_model_folders(roots: Iterable[Path], progress: Callable[[Path], None] | None = None) -> Iterator[Path]:
    """Yield model folders, adapter folders and GGUF files, each once; folders that cannot be read are passed over.

    `progress` is called with each folder before it is looked at.
    """
    seen: set[str] = set()
    left = MAX_FOLDERS
    waiting = [(Path(root).absolute(), 0) for root in roots]
    while waiting and left:
        folder, depth = waiting.pop(0)
        real = os.path.realpath(folder)
        if real in seen:
            continue
        seen.add(real)
        left -= 1
        if progress:
            progress(folder)
        names, below = _contents(folder)
        gguf = sorted(name for name in names if name.lower().endswith(".gguf"))
        if _is_model(names):
            yield folder
        else:
            yield from (folder / name for name in gguf)
            if depth < MAX_DEPTH:
                waiting += [(path, depth + 1) for path in _worth_a_look(folder, below)]


def hub_cache_dirs() -> list[Path]:
    """Return the Hugging Face caches on this computer that exist."""
    home = os.environ.get("HF_HOME")
    general = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    named = [os.environ.get("HF_HUB_CACHE"), os.environ.get("HUGGINGFACE_HUB_CACHE")]
    places = [Path(place).expanduser() for place in named if place]
    places.append(Path(home).expanduser() / "hub" if home else Path(general) / "huggingface" / "hub")
    return [place for place in dict.fromkeys(places) if place.is_dir()]


def _contents(folder: Path) -> tuple[set[str], list[str]]:
    """Names of the files and of the subfolders; links to folders are left out."""
    files: set[str] = set()
    folders: list[str] = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.name)
                else:
                    files.add(entry.name)
    except OSError:
        pass  # not ours to read
    return files, sorted(folders)


def _is_model(names: set[str]) -> bool:
    return ADAPTER_CONFIG in names or (CONFIG in names and any(name.endswith(_WEIGHTS) for name in names))


def _worth_a_look(folder: Path, below: list[str]) -> list[Path]:
    if folder.name.startswith("models--"):  # a repository in a Hugging Face cache: its current revision
        return _current_revision(folder)
    return [
        folder / name
        for name in below
        if not name.startswith((".", "datasets--", "spaces--")) and name not in _LEFT_OUT
    ]


def _current_revision(repository: Path) -> list[Path]:
    try:
        main = (repository / "refs" / "main").read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        main = ""
    snapshots = repository / "snapshots"
    if main and main == Path(main).name and (snapshots / main).is_dir():
        return [snapshots / main]
    try:
        return sorted((path for path in snapshots.iterdir() if path.is_dir()), key=lambda path: path.stat().st_mtime)[
            -1:
        ]
    except OSError:
        return []
