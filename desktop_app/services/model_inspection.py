"""What the inspect service does with models: find them, describe them, recompute their checksums.

Facts that were read before are taken from a cache as long as nothing in the model's folder has changed.
"""

import hashlib
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from desktop_app import __version__, extras
from desktop_app.disk_use import disk_use as measured_use
from desktop_app.domain.model_facts import ModelFacts
from desktop_app.errors import StorageError
from desktop_app.library import model_folder
from desktop_app.library.catalogue import find_models
from desktop_app.library.model_check import check_model
from desktop_app.library.model_config import CONFIG
from desktop_app.library.native_architectures import TRANSFORMERS_VERSION
from desktop_app.library.stamp import MISSING, model_stamp
from desktop_app.paths import model_cache_file
from desktop_app.storage.model_cache import ModelCache

# Facts of another version may lack what this one tells.
_VERSION = hashlib.sha256(
    f"{__version__} {TRANSFORMERS_VERSION} {ModelFacts.model_json_schema()}".encode()
).hexdigest()[:16]


def model_facts(path: str) -> dict[str, Any]:
    """Describe one model; the answer is a ModelFacts.

    Raises:
        ModelError: as `library.model_folder.model_facts`.
    """
    return model_folder.model_facts(Path(path)).model_dump(mode="json")


def listed_facts(path: str) -> dict[str, Any]:
    """Describe one model for a list, what is wrong with it included; the answer is a ModelFacts."""
    return describe_models([{"path": path}])[0]


def describe_models(models: list[Mapping[str, str]]) -> list[dict[str, Any]]:
    """Describe models for a list; each has a `path`, and what was found out about it: `name` and `store`."""
    cache = ModelCache(model_cache_file())
    known = cache.facts(model["path"] for model in models)
    new: dict[str, tuple[str, str]] = {}
    answer = []
    for model in models:
        path = model["path"]
        stamp, text = known.get(path, (MISSING, ""))
        facts = _from_cache(text, stamp, path)
        if facts is None:
            facts = model_folder.listed_facts(Path(path))
            if now := _stamp(facts):
                new[path] = (now, facts.model_dump_json())
        named = {name: value for name in ("name", "store") if (value := model.get(name, ""))}
        answer.append(facts.model_copy(update=named).model_dump(mode="json"))
    if new:
        cache.keep_facts(new)
    return answer


def find(roots: list[str], progress: Callable[..., None]) -> dict[str, Any]:
    """Find the models below some folders, without reading any.

    The answer holds `models`, each with path, name and store, and `folders`: those that were looked at, with
    their times of change in nanoseconds.
    """
    visited: dict[Path, int] = {}
    models = []
    for found in find_models([Path(root) for root in roots], visited):
        if found is not None:
            models.append({"path": str(found.path), "name": found.name, "store": found.store})
        progress(len(visited), 0, found=len(models))
    return {"models": models, "folders": {str(folder): changed for folder, changed in visited.items()}}


def verify_model(path: str, progress: Callable[..., None]) -> dict[str, Any]:
    """Read a whole model and compare its checksums; the answer holds `problems` and `findings` in words.

    Raises:
        ModelError: as `library.model_check.check_model`.
        StorageError: a file cannot be read.
    """
    cache = ModelCache(model_cache_file())
    earlier, taken = cache.checksums(path)
    try:
        check = check_model(Path(path), earlier, progress)
    except OSError as error:
        raise StorageError(f"{error.filename} cannot be read: {error.strerror}.", "Is the disk still there?") from error
    if not check.problems:
        cache.keep_checksums(path, check.digests, time.time())
    return {"problems": check.problems, "findings": check.findings, "before": taken}


def _from_cache(text: str, stamp: str, path: str) -> ModelFacts | None:
    if not text:
        return None
    try:
        facts = ModelFacts.model_validate_json(text)
    except ValueError:
        return None
    if facts.kind == "base" and not facts.shape.matrices:
        return None  # somebody may have counted its layers since; to read it anew takes milliseconds
    return facts if facts.path == path and stamp == _stamp(facts) else None


def _stamp(facts: ModelFacts) -> str:
    """Stamp a model as it is now; an adapter also changes with the config of its base."""
    stamp = model_stamp(Path(facts.path))
    if stamp == MISSING:
        return MISSING
    base = Path(facts.base_model) if facts.base_model else None
    of_base = model_stamp(base / CONFIG) if base is not None and base.is_absolute() else ""
    # Whether it can be loaded depends on an extra, which may come and go.
    needed = str(extras.GPTQ.is_here) if facts.quantization.startswith(("GPTQ", "AWQ")) else ""
    return f"{_VERSION}{needed} {stamp} {of_base}"


def disk_use(models: list[str]) -> dict[str, Any]:
    """Say what each byte on the disk belongs to; the answer is a DiskUse."""
    return measured_use(models).model_dump(mode="json")


METHODS: dict[str, Callable[..., Any]] = {
    "model_facts": model_facts,
    "listed_facts": listed_facts,
    "describe_models": describe_models,
    "find_models": find,
    "verify_model": verify_model,
    "disk_use": disk_use,
}
