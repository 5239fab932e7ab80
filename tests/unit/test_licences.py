"""Licences as metadata states them, and which of them the program may carry."""

import json
from importlib import metadata
from pathlib import Path

import pytest

from desktop_app import licences
from desktop_app.errors import StorageError
from desktop_app.licences import NOT_STATED, Licence, carried_licences, is_allowed, licences_of


@pytest.mark.parametrize(
    ("stated", "allowed"),
    [
        ("MIT", True),
        ("LGPL-3.0-only OR GPL-2.0-only OR GPL-3.0-only", True),
        ("GNU Lesser General Public License v3 (LGPLv3)", True),
        ("MPL-2.0 AND (Apache-2.0 OR MIT)", True),
        ("GPL-3.0-or-later", False),
        ("MIT AND GPL-2.0-only", False),
        ("GPL-2.0-only OR AGPL-3.0-only", False),
        ("GNU General Public License v2 (GPLv2)", False),
        ("GNU Affero General Public License v3", False),
        (NOT_STATED, False),
    ],
)
def test_gpl_and_agpl_are_refused_unless_there_is_a_choice(stated: str, allowed: bool) -> None:
    assert is_allowed(Licence(name="library", version="1", licence=stated)) is allowed


@pytest.mark.parametrize(
    ("about", "stated"),
    [
        ("License-Expression: MIT\nLicense: something old", "MIT"),
        ("License: BSD\nClassifier: License :: OSI Approved :: BSD License", "BSD"),
        ("License: UNKNOWN\nClassifier: License :: OSI Approved :: MIT License", "MIT License"),
        ("Classifier: License :: OSI Approved :: A\nClassifier: License :: OSI Approved :: B", "A, B"),
        ("Classifier: Topic :: Games", NOT_STATED),
    ],
)
def test_each_way_to_state_a_licence_is_read(tmp_path: Path, about: str, stated: str) -> None:
    folder = tmp_path / "lib-1.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: lib\nVersion: 1\n{about}\n")
    assert licences_of([metadata.Distribution.at(folder)]) == [Licence(name="lib", version="1", licence=stated)]


def test_the_packaged_program_reads_the_list_of_its_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(licences, "program_root", lambda: tmp_path)
    entry = Licence(name="lib", version="1", licence="MIT")
    (tmp_path / licences.FILE_NAME).write_text(json.dumps([entry.model_dump()]))
    assert carried_licences() == [entry]
    (tmp_path / licences.FILE_NAME).write_text("[{")
    with pytest.raises(StorageError, match="cannot be read"):
        carried_licences()
