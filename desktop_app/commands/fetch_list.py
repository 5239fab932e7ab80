"""Write a fetch list from a terminal: exact where the hub may be asked, else with commands that ask it."""

import argparse
from pathlib import Path

from desktop_app.domain.download_spec import repo_and_revision
from desktop_app.errors import SpecError
from desktop_app.library.fetch_list import listed_files, write_fetch_list
from desktop_app.paths import settings_dir
from desktop_app.services.client import Service
from desktop_app.settings import read_stored

from .text import json_text, printable

_ASK_TIMEOUT_S = 60.0


def make_fetch_list(asked: argparse.Namespace) -> int:
    """Write the list into a new folder.

    Raises:
        AppError: the name is none, the hub cannot be reached, or the folder cannot be written.
    """
    named = repo_and_revision(asked.repo)
    if named is None:
        raise SpecError(f"{printable(asked.repo)[:80]} is no name of a model.", "Write it as owner/name.")
    repo, commit = named
    folder = Path(asked.output).expanduser().absolute()
    if asked.ask_later or read_stored(settings_dir()).offline:
        write_fetch_list(folder, repo, commit)
        count = 0
    else:
        hub = Service("hub")
        try:
            found = hub.call("repo_files", _ASK_TIMEOUT_S, repo=repo, revision=commit)
        finally:
            hub.close()
        files = listed_files(found)
        commit, count = found["commit"], len(files)
        write_fetch_list(folder, repo, commit, files)
    if asked.json:
        print(json_text({"folder": str(folder), "repo": repo, "commit": commit, "files": count}))
        return 0
    exact = f"{count} files with their checksums" if count else "Whetstone is offline: its script asks the hub itself"
    print(f"{folder}: {exact}. FETCH.txt in it says what to do.")
    return 0
