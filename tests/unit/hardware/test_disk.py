"""Free space is found for folders that do not exist yet."""

import shutil
from pathlib import Path

from desktop_app.hardware.disk import free_bytes


def test_a_folder_to_be_has_the_space_of_its_volume(tmp_path: Path) -> None:
    real = shutil.disk_usage(tmp_path)
    assert 0 < free_bytes(tmp_path / "a" / "b" / "c") <= real.total
