"""Find the models on this computer below some folders, without opening any of them.

A bounded walk: at most six levels and 50,000 folders, links not followed, hidden and system folders left out.
"""

import os
import re
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path

from .adapter_folder import ADAPTER_CONFIG
from .model_config import CONFIG
from .model_files import PICKLE_SUFFIXES
from .model_stores import FoundModel, is_ollama_store, model_stores, ollama_models

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
_PART = re.compile(r"-(\d{5})-of-\d{5}\.gguf$", re.IGNORECASE)
_WEIGHTS = (".safetensors", ".safetensors.index.json", ".onnx", *PICKLE_SUFFIXES)


def find_models(roots: Iterable[Path], visited: dict[Path, int] | None = None) -> Iterator[FoundModel | None]:
    """Yield model folders, adapter folders and GGUF files, each once; folders that cannot be read are passed over.

    Yields None for a folder that holds none, so that the caller can tell how far it is, or leave off. `visited`
    is filled with the folders that were looked at and their times of change in nanoseconds.
    """
    seen: set[str] = set()
    left = MAX_FOLDERS
    stores = {os.path.realpath(store.folder): store.program for store in model_stores()}
    waiting = deque((Path(root).absolute(), 0, "") for root in roots)
    while waiting and left:
        folder, depth, store = waiting.popleft()
        real = os.path.realpath(folder)
        if real in seen:
            continue
        seen.add(real)
        left -= 1
        store = stores.get(real, store)
        if visited is not None:
            visited[folder] = _time_of_change(folder)
        names, below = _contents(folder)
        if _is_model(names):
            yield FoundModel(path=folder, store=store)
        elif is_ollama_store(below):
            yield from ollama_models(folder)
        else:
            yield None
            yield from (FoundModel(path=folder / name, store=store) for name in gguf_files(names))
            if depth < MAX_DEPTH:
                waiting += [(path, depth + 1, store) for path in _worth_a_look(folder, below)]


def gguf_files(names: Iterable[str]) -> list[str]:
    """Return the GGUF files among `names`, of one in several parts the first."""
    found = sorted(name for name in names if name.lower().endswith(".gguf"))
    return [name for name in found if (part := _PART.search(name)) is None or int(part[1]) == 1]


def _time_of_change(folder: Path) -> int:
    try:
        return folder.stat().st_mtime_ns
    except OSError:
        return 0


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


def _first_line(file: Path) -> str:
    """The beginning of a small file, '' if it is none: a pipe of that name would wait for ever."""
    try:
        if not file.is_file():
            return ""
        with file.open("rb") as stream:
            return stream.read(200).decode("utf-8").strip()
    except (OSError, ValueError):
        return ""


def _current_revision(repository: Path) -> list[Path]:
    main = _first_line(repository / "refs" / "main")
    snapshots = repository / "snapshots"
    if main and main == Path(main).name and (snapshots / main).is_dir():
        return [snapshots / main]
    try:
        return sorted((path for path in snapshots.iterdir() if path.is_dir()), key=lambda path: path.stat().st_mtime)[
            -1:
        ]
    except OSError:
        return []
