"""The one service that may use the network, and only when the user asks it to: look at a repository, keep a token."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from desktop_app.hub.repository import read_repository, suggested_files
from desktop_app.hub.token import hub_token, keep_token

MEMORY_BYTES = 1024**3


def repo_files(repo: str, revision: str = "") -> dict[str, Any]:
    """List the files of a repository, with sizes, checksums and whether a loader needs them; its commit and licence.

    Raises:
        NetworkError: as `hub.repository.read_repository`.
    """
    found = read_repository(repo, revision, hub_token())
    wanted = set(suggested_files(found.files))
    files = [{**asdict(file), "suggested": file.name in wanted} for file in found.files]
    return {"repo": found.name, "commit": found.commit, "licence": found.licence, "files": files}


def has_token() -> bool:
    """Whether a token is known; the token itself never leaves this process but to the hub."""
    return bool(hub_token())


def save_token(token: str) -> None:
    """Keep a token in the system's keyring, '' to forget it.

    Raises:
        StorageError: as `hub.token.keep_token`.
    """
    keep_token(token)


METHODS: dict[str, Callable[..., Any]] = {"repo_files": repo_files, "has_token": has_token, "save_token": save_token}
