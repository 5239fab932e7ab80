"""Find the licence that a model folder states: in the head of its README, else in its LICENSE file.

A statement of whoever made the folder, shown as such; no check of anything.
"""

import re
from collections.abc import Collection
from pathlib import Path

_LONGEST_READ_BYTES = 64 * 1024
_FRONT_MATTER = re.compile(r"\A\ufeff?---\r?\n(.*?)\r?\n---", re.DOTALL)
_FIELD = re.compile(r"^(license|license_name):[ \t]*([^\r\n#]+)", re.MULTILINE)
_FILES = ("LICENSE", "LICENSE.txt", "LICENSE.md", "LICENCE", "COPYING")


def stated_licence(folder: Path, names: Collection[str]) -> str:
    """Return the licence by its stated name; '' if none is stated. `names` are the files of the folder."""
    if "README.md" in names:
        head = _FRONT_MATTER.match(_beginning(folder / "README.md"))
        fields: dict[str, str] = dict(_FIELD.findall(head.group(1))) if head else {}
        licence = fields.get("license", "")
        if licence.strip().strip("'\"").lower() in {"other", ""}:
            licence = fields.get("license_name", licence)
        if licence.strip():
            return licence.strip().strip("'\"")[:60]
    for name in _FILES:
        if name in names:
            lines = [line.strip(" #*\t") for line in _beginning(folder / name).splitlines()]
            return next((line[:60] for line in lines if line), "")
    return ""


def _beginning(file: Path) -> str:
    try:
        with file.open("rb") as stream:
            return stream.read(_LONGEST_READ_BYTES).decode("utf-8", "replace")
    except OSError:
        return ""  # a licence that cannot be read is not stated
