"""The line for a terminal beside a saved spec."""

import subprocess
from pathlib import Path

from desktop_app.ui.widgets.save_spec import run_line


def test_the_line_starts_this_program_from_any_folder(tmp_path: Path) -> None:
    spec = tmp_path / "o'clock, a & b.json"
    said = subprocess.run(run_line(spec), shell=True, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert f"{spec} cannot be read" in said.stdout + said.stderr
