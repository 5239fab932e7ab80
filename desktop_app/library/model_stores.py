"""Where other programs on this computer keep models: Hugging Face, LM Studio, Ollama.

Knows their folders and Ollama's manifests; opens no model. Their own documentation describes the layouts:
https://huggingface.co/docs/huggingface_hub/guides/manage-cache, https://lmstudio.ai/docs/basics/import-model,
https://github.com/ollama/ollama/blob/main/docs/faq.md.
"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from desktop_app.errors import ModelError

from .json_file import read_json_object

HUGGING_FACE, LM_STUDIO, OLLAMA = "Hugging Face", "LM Studio", "Ollama"
_MAX_MANIFEST_BYTES = 1024 * 1024
_MAX_MANIFESTS = 10_000
_MANIFEST_FOLDERS = ("manifests", "manifests-v2")
_BLOBS = "blobs"
_DIGEST = re.compile(r"sha256[:-]([0-9a-f]{64})")
_MODEL_LAYER = "application/vnd.ollama.image.model"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelStore:
    """A folder in which a program keeps its models, and what the program is called."""

    program: str
    folder: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundModel:
    """A model by its folder or file; `name` where that says nothing, `store` if another program keeps it."""

    path: Path
    name: str = ""
    store: str = ""


def model_stores() -> list[ModelStore]:
    """Return the stores of other programs on this computer that exist, each folder once."""
    candidates = [
        *((HUGGING_FACE, place) for place in _hugging_face_places()),
        *((LM_STUDIO, place) for place in _lm_studio_places()),
        *((OLLAMA, place) for place in _ollama_places()),
    ]
    stores: dict[Path, ModelStore] = {}
    for program, place in candidates:
        if place.is_dir():
            stores.setdefault(place.resolve(), ModelStore(program=program, folder=place))
    return list(stores.values())


def is_ollama_store(names_of_subfolders: list[str]) -> bool:
    """Whether a folder with these subfolders is one of Ollama's."""
    return _BLOBS in names_of_subfolders and any(name in names_of_subfolders for name in _MANIFEST_FOLDERS)


def ollama_models(store: Path) -> Iterator[FoundModel]:
    """Yield the GGUF blobs of an Ollama store by the names of their manifests, each blob once.

    A manifest that is damaged, or names a blob that is not there, is passed over.
    """
    seen: set[Path] = set()
    for top in _MANIFEST_FOLDERS:
        for manifest in _manifests(store / top):
            blob = _model_blob(store, manifest)
            if blob is not None and blob not in seen:
                seen.add(blob)
                yield FoundModel(path=blob, name=_ollama_name(manifest.relative_to(store / top)), store=OLLAMA)


def _hugging_face_places() -> list[Path]:
    named = [os.environ.get("HF_HUB_CACHE"), os.environ.get("HUGGINGFACE_HUB_CACHE")]
    places = [Path(place).expanduser() for place in named if place]
    home = os.environ.get("HF_HOME")
    general = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return [*places, Path(home).expanduser() / "hub" if home else Path(general) / "huggingface" / "hub"]


def _lm_studio_places() -> list[Path]:
    """Its home can be moved; a file then points to it. Its first versions used the general cache."""
    home = Path.home()
    try:
        pointed = (home / ".lmstudio-home-pointer").read_text(encoding="utf-8").strip()[:4096]
    except (OSError, ValueError):
        pointed = ""
    moved = [Path(pointed) / "models"] if pointed and "\0" not in pointed else []
    return [*moved, home / ".lmstudio" / "models", home / ".cache" / "lm-studio" / "models"]


def _ollama_places() -> list[Path]:
    """The user's own, or that of the system's service on Linux."""
    named = os.environ.get("OLLAMA_MODELS")
    places = [Path(named).expanduser()] if named else []
    return [*places, Path.home() / ".ollama" / "models", Path("/usr/share/ollama/.ollama/models")]


def _manifests(folder: Path) -> list[Path]:
    """Files below HOST/NAMESPACE/MODEL/TAG, without following links to folders."""
    found: list[Path] = []
    for place, folders, files in os.walk(folder):
        folders.sort()
        found += [Path(place) / name for name in sorted(files) if not name.startswith(".")]
        if len(found) > _MAX_MANIFESTS:
            break
    return [path for path in found if len(path.relative_to(folder).parts) >= 2]


def _model_blob(store: Path, manifest: Path) -> Path | None:
    try:
        if not manifest.is_file():  # a pipe would wait for ever
            return None
        layers = read_json_object(manifest, _MAX_MANIFEST_BYTES).get("layers")
    except (ModelError, OSError):
        return None
    for layer in layers if isinstance(layers, list) else ():
        if isinstance(layer, dict) and layer.get("mediaType") == _MODEL_LAYER:
            digest = _DIGEST.fullmatch(str(layer.get("digest")))
            for mark in "-:" if digest else "":  # the first versions wrote a colon
                blob = store / _BLOBS / f"sha256{mark}{digest[1] if digest else ''}"
                if blob.is_file():
                    return blob
    return None


def _ollama_name(below: Path) -> str:
    """Name a model as `ollama list` does: 'llama3:latest', 'someone/model:7b', else with its host."""
    *owners, model, tag = below.parts
    host, *spaces = owners or [""]
    plain = [space for space in spaces if space != "library"]
    known_host = host in ("registry.ollama.ai", "ollama.com", "")
    return "/".join([*([] if known_host else [host]), *plain, model]) + f":{tag}"
