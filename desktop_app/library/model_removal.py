"""Rename and delete models on the disk; only what is a model, and never what another program keeps count of."""

import os
import shutil
import time
from pathlib import Path

from desktop_app.durable_file import move_into_place
from desktop_app.errors import ModelError, StorageError
from desktop_app.paths import data_dir, demo_dir, jobs_dir, name_problem

from .model_folder import gguf_parts
from .model_stores import OLLAMA, model_stores

TRASH_PREFIX = ".deleted-"


def places_of(path: Path) -> list[Path]:
    """Return what is removed with a model: its folder, its file in all parts, its whole repository in a cache.

    Raises:
        ModelError: it is gone, or belongs to somebody else: to a job's folder, to this program, to Ollama, or to
            other files.
    """
    path = path.absolute()
    if path.is_relative_to(demo_dir()):
        raise ModelError(f"{path.name} comes with Whetstone.", "Remove it from the list instead.")
    if path.is_relative_to(jobs_dir()):
        raise ModelError(
            f"{path} is the result of a job and lies in its folder.",
            "Delete the job in History; its result goes with it.",
        )
    if path.name.startswith("sha256"):
        raise ModelError(
            f"{path.name[:20]}… is kept by {OLLAMA}, which may use it for several models.",
            f"Remove it in {OLLAMA}: ollama rm, and the model's name.",
        )
    if path.parent.name == "snapshots" and path.parent.parent.name.startswith("models--"):
        return [path.parent.parent]
    if path.is_file():
        return gguf_parts(path)
    if not path.exists():
        raise ModelError(f"{path} is not there any more.", "Scan again; it leaves the list.")
    _refuse_large_places(path)
    return [path]


def size_of(places: list[Path]) -> int:
    """Return how many bytes removing them frees, as far as can be seen."""
    files = (file for place in places for file in ([place] if place.is_file() else place.rglob("*")))
    return sum(_size(file) for file in files)


def delete_places(places: list[Path]) -> None:
    """Remove them for good. A folder vanishes at once, its files after it.

    Raises:
        StorageError: something cannot be removed.
    """
    for place in places:
        try:
            if place.is_dir():
                trash = place.with_name(f"{TRASH_PREFIX}{place.name}-{int(time.time())}")
                move_into_place(place, trash)
                shutil.rmtree(trash)
            else:
                place.unlink(missing_ok=True)
        except OSError as error:
            raise StorageError(
                f"{place} cannot be removed: {error.strerror}.", "Close programs that use its files, then try again."
            ) from error


def rename_model(path: Path, name: str) -> Path:
    """Give a model's folder or file another name in the same place; return its new path.

    Raises:
        ModelError: it belongs to somebody else, or the name cannot be one.
        StorageError: the name is taken, or it cannot be renamed.
    """
    name = name.strip()
    places = places_of(path)
    if len(places) != 1 or places[0] != path or any(store.folder in path.parents for store in model_stores()):
        raise ModelError(f"{path.name} is named by the program that keeps it.", "Bring in a copy of it to rename that.")
    if path.is_file() and not name.lower().endswith(".gguf"):
        name += ".gguf"
    new = path.with_name(name) if name and not set(name) & set('/\\:*?"<>|') and name[0] != "." else None
    problem = (
        name_problem(new, on_windows=True) if new else 'it is empty, begins with a dot or holds / \\ : * ? " < > |'
    )
    if new is None or problem:
        raise ModelError(f"{name!r} cannot be the name of a model: {problem}.", "Choose letters, digits, - and _.")
    if new == path:
        return path
    if os.path.lexists(new):
        raise StorageError(f"{new} exists already.", "Choose another name; nothing is overwritten.")
    try:
        move_into_place(path, new)
    except OSError as error:
        raise StorageError(
            f"{path} cannot be renamed: {error.strerror}.", "Close programs that use its files, then try again."
        ) from error
    return new


def _refuse_large_places(path: Path) -> None:
    """A config.json may lie where much more than one model does."""
    whole = {Path.home(), Path(path.anchor), data_dir(), *(store.folder for store in model_stores())}
    if any(place == path or place.is_relative_to(path) for place in whole):
        raise ModelError(f"{path} holds much more than a model.", "Remove the model's files yourself.")
    below = [folder for folder in path.iterdir() if folder.is_dir() and (folder / "config.json").is_file()]
    if below:
        raise ModelError(f"{path} holds other models too, such as {below[0].name}.", "Remove its files yourself.")


def _size(file: Path) -> int:
    try:
        return 0 if file.is_symlink() or not file.is_file() else file.stat().st_size
    except OSError:
        return 0
