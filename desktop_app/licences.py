"""Say under which licence each library stands that the program carries; as its own metadata states it.

The packaged program carries the list that its build wrote; from the source it is what is installed.
"""

import json
import re
from collections.abc import Iterable
from importlib import metadata

from .domain.value import Value
from .errors import StorageError
from .paths import program_root

FILE_NAME = "licences.json"
NOT_STATED = "not stated"
# What metadata leaves open, read in the libraries' own licence files.
_EXPLAINED = {
    "docutils": "public domain and BSD-2-Clause; what is GPL there, an editor's mode, is not in the package",
    "pyinstaller": "GPL-2.0-or-later with an exception: programs that it packages may have any licence",
    "pyinstaller-hooks-contrib": "Apache-2.0 for what goes into programs; what is GPL runs only while packaging",
    "torchao": "BSD-3-Clause",
}
_GPL = re.compile(r"(?<![Ll])(?<!Lesser )A?GPL|(?<!Lesser )General Public License")
_TITLE_LENGTH = 60


class Licence(Value):
    """One library; `licence` is an SPDX expression or the licence's name."""

    name: str
    version: str
    licence: str


def carried_licences() -> list[Licence]:
    """Return what this program carries, by name; reads a file for each library, so call it in a thread.

    Raises:
        StorageError: the list of the packaged program is damaged.
    """
    file = program_root() / FILE_NAME
    if not file.is_file():
        return licences_of(metadata.distributions())
    try:
        return [Licence.model_validate(entry) for entry in json.loads(file.read_bytes())]
    except (OSError, ValueError) as error:
        raise StorageError(f"{file} cannot be read: {error}.", "Install the program again.") from error


def licences_of(distributions: Iterable[metadata.Distribution]) -> list[Licence]:
    """Return each distribution once, by name."""
    found = {
        each.name.lower(): Licence(name=each.name, version=each.version, licence=_stated(each))
        for each in distributions
    }
    return [found[name] for name in sorted(found)]


def is_allowed(licence: Licence) -> bool:
    """Whether the program may carry it: some licence is stated, and no GPL or AGPL is the only choice.

    LGPL is allowed: the libraries lie beside the program, where anybody can replace them.
    """
    if licence.name.lower() in _EXPLAINED:
        return True
    stated = licence.licence
    alternatives = [stated] if re.search(r"\bAND\b|,", stated) else re.split(r"\bOR\b", stated)
    return stated != NOT_STATED and not all(_GPL.search(each) for each in alternatives)


def _stated(distribution: metadata.Distribution) -> str:
    if explained := _EXPLAINED.get(distribution.name.lower()):
        return explained
    about = distribution.metadata
    if "License-Expression" in about:
        return about["License-Expression"]
    lines = "".join(about.get_all("License") or ()).strip().splitlines()
    if len(lines) == 1 and lines[0].upper() != "UNKNOWN":
        return lines[0]
    classified = [entry.rsplit(" :: ", 1)[-1] for entry in about.get_all("Classifier") or () if "License ::" in entry]
    if classified:
        return ", ".join(classified)
    return lines[0][:_TITLE_LENGTH] if lines else NOT_STATED
