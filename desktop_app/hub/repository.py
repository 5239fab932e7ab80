"""What a model repository on a hub holds: its files with sizes and checksums, and which of them a loader needs."""

import re
from dataclasses import dataclass
from pathlib import PurePosixPath

from desktop_app.domain.download_spec import is_plain_path
from desktop_app.errors import NetworkError

from .words import hub_errors_in_words

_MAX_FILES = 10_000
_TIMEOUT_S = 20.0
_SMALL = (".json", ".txt", ".model", ".jinja", ".md", ".jsonl")
_LICENCE = re.compile(r"(LICEN[CS]E|NOTICE|USE_POLICY|COPYING)", re.IGNORECASE)
_PICKLES = re.compile(r"(pytorch_model|adapter_model).*\.bin(\.index\.json)?")
_USUAL_GGUF = ("q4_k_m", "q4_0", "q8_0")


@dataclass(frozen=True, slots=True, kw_only=True)
class HubFile:
    """One file: size in bytes; `sha256` of large files, `git_sha1` of small ones, '' where the hub does not say."""

    name: str
    size: int
    sha256: str = ""
    git_sha1: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Repository:
    """A repository at one commit, which does not change any more."""

    name: str
    commit: str
    files: tuple[HubFile, ...]
    licence: str = ""


def read_repository(repo: str, revision: str, token: str) -> Repository:
    """Ask the hub for the list of files.

    Raises:
        NetworkError: it cannot be reached, refuses, or names files that lead out of a folder.
    """
    with hub_errors_in_words(repo):
        from huggingface_hub import HfApi

        info = HfApi().model_info(
            repo, revision=revision or "main", files_metadata=True, token=token or False, timeout=_TIMEOUT_S
        )
    files = []
    for sibling in (info.siblings or [])[:_MAX_FILES]:
        if not is_plain_path(sibling.rfilename):
            raise NetworkError(
                f"{repo} names a file {sibling.rfilename[:60]!r}, which would lie outside its folder.",
                "Do not use this model; get it from a source that you trust.",
            )
        lfs = sibling.lfs
        size = lfs.size if lfs else sibling.size
        git_sha1 = "" if lfs else str(sibling.blob_id or "")
        files.append(
            HubFile(name=sibling.rfilename, size=size or 0, sha256=lfs.sha256 if lfs else "", git_sha1=git_sha1)
        )
    if not info.sha or re.fullmatch(r"[0-9a-f]{40}", info.sha) is None:
        raise NetworkError(f"The hub does not say which commit of {repo} this is.", "Try again later.")
    licence = str(getattr(info.card_data, "license", "") or "") if info.card_data else ""
    return Repository(name=repo, commit=info.sha, files=tuple(files), licence=licence[:60])


def suggested_files(files: tuple[HubFile, ...]) -> list[str]:
    """Choose what a loader needs: safetensors if there are any, else one GGUF, else pickles to convert; and configs.

    Never code, weights of other libraries, or copies in subfolders.
    """
    top = [file.name for file in files if "/" not in file.name]
    small = [name for name in top if name.endswith(_SMALL) or _LICENCE.match(name)]
    safe = [name for name in top if name.endswith(".safetensors")]
    if safe:
        single = [name for name in safe if not re.search(r"-\d{5}-of-\d{5}\.", name)]
        # Some repositories hold the whole model twice, in one file and in shards.
        weights = single if "model.safetensors" in single and len(safe) > len(single) else safe
        return _tidy(small, weights, "model.safetensors.index.json" if weights is single else "")
    gguf = [file.name for file in files if file.name.lower().endswith(".gguf")]
    if gguf:
        usual = [name for mark in _USUAL_GGUF for name in gguf if mark in name.lower()]
        return _tidy(small, _whole(usual[0] if usual else gguf[0], gguf), "")
    return _tidy(small, [name for name in top if _PICKLES.fullmatch(name)], "")


def _whole(name: str, names: list[str]) -> list[str]:
    """All parts of a file that is split."""
    part = re.match(r"(.*)-\d{5}-of-(\d{5})\.gguf$", name, re.IGNORECASE)
    if part is None:
        return [name]
    return [other for other in names if other.startswith(part[1] + "-") and f"-of-{part[2]}." in other]


def _tidy(small: list[str], weights: list[str], without: str) -> list[str]:
    is_pickled = any(PurePosixPath(name).suffix == ".bin" for name in weights)
    kept = [
        name
        for name in small
        if name != without and (is_pickled or not _PICKLES.fullmatch(name)) and not name.endswith((".h5", ".msgpack"))
    ]
    return sorted({*kept, *weights})
