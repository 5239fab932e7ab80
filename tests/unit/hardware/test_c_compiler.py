"""Whether a C module could be built for this Python: a compiler is needed, and Python's headers."""

import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest

from desktop_app.hardware.c_compiler import can_build_for_python


@pytest.fixture(autouse=True)
def looked_for_anew() -> Iterator[None]:
    can_build_for_python.cache_clear()
    yield
    can_build_for_python.cache_clear()


@pytest.mark.parametrize(
    ("program", "named", "has_headers", "can"),
    [
        ("gcc", None, True, True),
        ("clang", None, True, True),
        ("gcc", None, False, False),
        ("", None, True, False),
        ("own-cc", "own-cc", True, True),
        ("gcc", "not-here", True, False),  # a CC that is not there is taken all the same
    ],
)
def test_compiler_and_headers_are_needed(
    program: str, named: str | None, has_headers: bool, can: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bin_dir, include = tmp_path / "bin", tmp_path / "include"
    bin_dir.mkdir()
    include.mkdir()
    if program:
        (bin_dir / program).write_text("#!/bin/sh\n", encoding="utf-8")
        (bin_dir / program).chmod(0o755)
    if has_headers:
        (include / "Python.h").touch()
    monkeypatch.setenv("PATH", str(bin_dir))
    monkeypatch.delenv("CC", raising=False)
    if named is not None:
        monkeypatch.setenv("CC", named)
    monkeypatch.setattr(sysconfig, "get_paths", lambda _scheme: {"include": str(include)})

    assert can_build_for_python() is can
