"""Where a model came from, by the manifest that the job which made it wrote beside it.

Read like any file of a stranger: bounded, and shown as what it claims.
"""

import os
import stat
from pathlib import Path
from typing import Any

from desktop_app.domain.model_facts import ModelOrigin
from desktop_app.errors import ModelError

from .json_file import read_json_object

MANIFEST = "manifest.json"  # NOTE: result_folder.py writes it
_MAX_MANIFEST_BYTES = 8 * 1024 * 1024
_LONGEST = 4096


def stated_origin(folder: Path) -> ModelOrigin | None:
    """Return what the manifest in a model's folder says; None if there is none, or none of ours.

    A model that was brought in or copied keeps the origin it had before, if it had one. One of several copies
    that a job made lies a folder deeper than their manifest.
    """
    for place in (folder, folder.parent):
        manifest = read_strange_manifest(place)
        if not manifest:
            continue
        if place == folder or any(str(name).startswith(f"{folder.name}/") for name in _section(manifest, "files")):
            earlier = manifest.get("origin")
            return _origin(earlier if isinstance(earlier, dict) else manifest)
    return None


def read_strange_manifest(folder: Path) -> dict[str, Any]:
    """Read the manifest that somebody else may have made; empty if there is none, or none that can be read.

    Only a file is opened: a pipe would wait for ever, a link lead elsewhere.
    """
    try:
        if not stat.S_ISREG(os.lstat(folder / MANIFEST).st_mode):
            return {}
        return read_json_object(folder / MANIFEST, _MAX_MANIFEST_BYTES)
    except (ModelError, OSError):
        return {}


def _origin(manifest: dict[str, Any]) -> ModelOrigin | None:
    kind, spec, source = manifest.get("kind"), _section(manifest, "spec"), _section(manifest, "source")
    if not isinstance(kind, str) or not kind:
        return None
    return ModelOrigin(
        kind=kind[:40],
        job=_text(manifest.get("job")),
        source=_text(source.get("path") or source.get("repo") or spec.get("model")),
        data=_text(spec.get("data")),
        method=_text(spec.get("method")),
    )


def _section(manifest: dict[str, Any], name: str) -> dict[str, Any]:
    section = manifest.get(name)
    return section if isinstance(section, dict) else {}


def _text(value: object) -> str:
    return value[:_LONGEST] if isinstance(value, str) else ""
