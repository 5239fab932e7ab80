"""What a job is asked to download: files of a model repository on a hub."""

import re
from typing import Literal

from pydantic import Field, field_validator

from .value import Value

_NAME = r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9_])?"
_REPO = re.compile(rf"{_NAME}(?:/{_NAME})?")
_REVISION = r"[A-Za-z0-9][A-Za-z0-9._/-]{0,199}"
# A link as it stands in a browser, of whatever host: what is asked for is always the configured hub.
_LINK = re.compile(
    rf"(?:(?:https?|hf)://)?(?:(?:[\w-]+\.)+[A-Za-z]{{2,}}(?::\d+)?/|[\w.-]+:\d+/)?"
    rf"(?P<repo>{_NAME}/{_NAME})(?:/(?:tree|blob|resolve)/(?P<revision>[A-Za-z0-9][A-Za-z0-9._-]*)(?:/.*)?)?/?(?:[?#].*)?"
)


class DownloadSpec(Value):
    """Download `files` of `repo` at `revision`; cut connections are taken up again, checksums are compared."""

    kind: Literal["download"] = "download"
    repo: str = Field(description="Repository of the model, as owner/name.")
    revision: str = Field("main", max_length=200, pattern=rf"^{_REVISION}$", description="Branch, tag or commit.")
    files: tuple[str, ...] = Field(
        (), max_length=10_000, description="Files to download; all that a loader needs unless said."
    )
    output: str | None = Field(None, description="New folder for it; one in Whetstone's models folder unless said.")
    name: str = Field("", max_length=80, description="What the job is called in lists.")
    threads: int | None = Field(None, ge=1, le=1024, description="Without effect here.")

    @field_validator("repo")
    @classmethod
    def _is_repo(cls, repo: str) -> str:
        if _REPO.fullmatch(repo) is None or ".." in repo or "--" in repo:
            raise ValueError("a repository is written as owner/name")
        return repo

    @field_validator("files")
    @classmethod
    def _stay_inside(cls, files: tuple[str, ...]) -> tuple[str, ...]:
        for name in files:
            if not is_plain_path(name):
                raise ValueError(f"{name[:60]!r} is no file of a repository")
        return files


def is_plain_path(name: str) -> bool:
    """Whether a file's name in a repository is a path that stays below its folder, on every system."""
    parts = name.split("/")
    return all(part not in ("", ".", "..") for part in parts) and not any(c in '\\:*?"<>|' or c < " " for c in name)


def repo_and_revision(text: str) -> tuple[str, str] | None:
    """Understand a name or a link: 'owner/name', 'https://…/owner/name/tree/v2' -> ('owner/name', 'v2').

    The revision is '' where none is named. None if the text is neither.
    """
    text = text.strip()
    if _REPO.fullmatch(text) and ".." not in text and "--" not in text:
        return text, ""
    link = _LINK.fullmatch(text)
    if link is None or ".." in link["repo"] or "--" in link["repo"]:
        return None
    return link["repo"], link["revision"] or ""
