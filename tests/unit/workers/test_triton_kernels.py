"""Triton is not to be found where it could build nothing, and is left alone where it can."""

import importlib.util
import os
import sys
from pathlib import Path

import pytest

from desktop_app.hardware.c_compiler import can_build_for_python
from desktop_app.workers.triton_kernels import leave_out_triton_where_it_cannot_build


@pytest.mark.parametrize("has_compiler", [True, False])
def test_triton_is_found_only_where_it_can_build(
    has_compiler: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "triton").mkdir()
    (tmp_path / "triton" / "__init__.py").touch()
    (tmp_path / "own-cc").write_text("#!/bin/sh\n", encoding="utf-8")
    (tmp_path / "own-cc").chmod(0o755)
    (tmp_path / "Python.h").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("CC", "own-cc" if has_compiler else "not-here")
    monkeypatch.setattr("sysconfig.get_paths", lambda _scheme: {"include": str(tmp_path)})
    monkeypatch.setitem(sys.modules, "triton", None)  # so that what was there comes back
    del sys.modules["triton"]
    can_build_for_python.cache_clear()
    try:
        leave_out_triton_where_it_cannot_build()
    finally:
        can_build_for_python.cache_clear()

    assert (importlib.util.find_spec("triton") is not None) is has_compiler
