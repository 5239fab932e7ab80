"""Check a model again: headers, shards, and the checksums of its files against whoever wrote them down.

Checksums are known from the manifest of the job that made the model, from the names that Hugging Face and Ollama give
their files, or from the last check here.
"""

import hashlib
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from desktop_app.errors import ModelError

from .model_files import list_model_files
from .model_folder import gguf_parts, model_facts
from .origin import MANIFEST, read_strange_manifest

_BLOCK_BYTES = 4 * 1024 * 1024
_BLOB = re.compile(r"(?:sha256[-:])?([0-9a-f]{64}|[0-9a-f]{40})")


@dataclass(slots=True)
class ModelCheck:
    """`problems` is empty for a model that is as it was; `findings` say what was looked at. `digests` are SHA-256."""

    problems: list[str] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)
    digests: dict[str, str] = field(default_factory=dict)


def check_model(
    path: Path, earlier: Mapping[str, str], progress: Callable[[int, int], None] | None = None
) -> ModelCheck:
    """Read a whole model once; `earlier` are the SHA-256 of its files from a check before, nothing if there was none.

    Raises:
        ModelError: its folder leads out of itself, or cannot be read.
    """
    check = ModelCheck()
    _check_headers(path, check)
    files = _files(path)
    total = sum(file.stat().st_size for file in files.values())
    done = 0
    compared = 0
    stated, whose = _stated(path)
    for name, file in files.items():
        sha256, git_sha1 = hashlib.sha256(), hashlib.sha1(b"blob %d\0" % file.stat().st_size, usedforsecurity=False)
        with file.open("rb") as stream:
            while block := stream.read(_BLOCK_BYTES):
                sha256.update(block)
                git_sha1.update(block)
                done += len(block)
                if progress is not None:
                    progress(done, total)
        digest = check.digests[name] = sha256.hexdigest()
        wanted = _stated_by_name(file) or stated.get(name) or earlier.get(name, "")
        if wanted:
            compared += 1
            if wanted not in (digest, git_sha1.hexdigest()):
                check.problems.append(f"{name} has other content than before: its checksum differs.")
    missing = sorted({*stated, *earlier} - files.keys())
    check.problems += [f"{name} is missing." for name in missing]
    if compared:
        check.findings.append(
            f"{compared} of {len(files)} files compared with checksums {whose or _whose(files, earlier)}"
        )
    else:
        check.findings.append(f"checksums of {len(files)} files taken; the next check compares with them")
    return check


def _check_headers(path: Path, check: ModelCheck) -> None:
    try:
        facts = model_facts(path)
    except ModelError as error:
        check.problems.append(error.message)
        return
    if facts.kind == "onnx":
        check.findings.append("config and tokenizer are sound; onnxruntime checks the graph when it loads it")
    elif facts.kind != "gguf":
        check.findings.append("every shard is there, inside the folder, and holds what its header says")
    else:
        check.findings.append("the header is sound")
    if facts.problem and facts.kind != "gguf":
        check.findings.append(facts.problem)


def _files(path: Path) -> dict[str, Path]:
    if path.is_file():
        return {part.name: part for part in gguf_parts(path)}
    names = (name for name in list_model_files(path).all if name != MANIFEST)
    return {name: path / name for name in sorted(names)}


def _stated(path: Path) -> tuple[dict[str, str], str]:
    """Checksums from the manifest of whoever made the model."""
    entries = read_strange_manifest(path).get("files") if path.is_dir() else None
    stated = {
        name: entry["sha256"]
        for name, entry in (entries.items() if isinstance(entries, dict) else ())
        if isinstance(entry, dict) and isinstance(entry.get("sha256"), str)
    }
    return stated, "that were written when it was made or brought in" if stated else ""


def _stated_by_name(file: Path) -> str:
    """The checksum that is a file's name: a blob of Ollama, or what a link in a Hugging Face cache leads to."""
    name = Path(os.path.realpath(file)).name if file.is_symlink() else file.name
    found = _BLOB.fullmatch(name)
    return found[1] if found else ""


def _whose(files: Mapping[str, Path], earlier: Mapping[str, str]) -> str:
    return "of the check before" if earlier.keys() & files.keys() else "in the names of its files"
