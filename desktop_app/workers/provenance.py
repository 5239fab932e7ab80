"""What a result came from, for its manifest: settings, versions, the source by its headers, the data by its tokens."""

import hashlib
import importlib.metadata
import os
import platform
from pathlib import Path
from typing import Any

import psutil

from desktop_app import __version__
from desktop_app.domain.download_spec import DownloadSpec
from desktop_app.domain.job import subject_of
from desktop_app.domain.spec import JobSpec

_LIBRARIES = ("torch", "transformers", "peft", "trl", "bitsandbytes", "accelerate", "tokenizers", "safetensors", "gguf",
              "onnxruntime")  # fmt: skip
_HEADER_LENGTH_BYTES = 8


def library_versions() -> dict[str, str]:
    """Name the versions in use, without importing anything."""
    versions = {"whetstone": __version__, "python": platform.python_version()}
    for name in _LIBRARIES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def hardware() -> dict[str, str | int]:
    """Describe the computer; the device that computed stands in the figures."""
    return {
        "system": f"{platform.system()} {platform.release()}",
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count() or 0,
        "memory_bytes": psutil.virtual_memory().total,
    }


def provenance(spec: JobSpec, **more: Any) -> dict[str, Any]:
    """Describe where a result comes from; `more` is put beside it."""
    subject = subject_of(spec)
    source = {"repo": subject} if isinstance(spec, DownloadSpec) else {"path": subject}
    if Path(subject).is_dir():
        source["headers_sha256"] = headers_fingerprint(Path(subject))
    return {
        "kind": spec.kind,
        "spec": spec.model_dump(mode="json"),
        "versions": library_versions(),
        "hardware": hardware(),
        "source": source,
        **more,
    }


def headers_fingerprint(folder: Path) -> str:
    """Hash a model's configs and the headers of its weights: names, shapes, formats and sizes, not the values."""
    digest = hashlib.sha256()
    for name in ("config.json", "adapter_config.json"):
        if (folder / name).is_file():
            digest.update((folder / name).read_bytes())
    for file in sorted(folder.glob("*.safetensors")):
        with file.open("rb") as stream:
            length = stream.read(_HEADER_LENGTH_BYTES)
            digest.update(f"{file.name} {file.stat().st_size} ".encode() + length)
            digest.update(stream.read(int.from_bytes(length, "little")))
    return digest.hexdigest()
