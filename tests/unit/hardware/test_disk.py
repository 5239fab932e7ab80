"""Free space is found for folders that do not exist yet."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from desktop_app.errors import StorageError
from desktop_app.hardware.disk import check_space, file_system, free_bytes, largest_file_bytes, refuse_too_large


def test_a_folder_to_be_has_the_space_of_its_volume(tmp_path: Path) -> None:
    real = shutil.disk_usage(tmp_path)
    assert 0 < free_bytes(tmp_path / "a" / "b" / "c") <= real.total


def test_what_leaves_no_room_for_small_files_is_refused_with_both_figures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=30_000_000))
    check_space(10_000_000, tmp_path / "new")
    with pytest.raises(StorageError, match="has 30 MB free; about 31 MB are needed"):
        check_space(11_000_000, tmp_path / "new")


def test_a_fat_disk_holds_no_file_above_4_gb_and_says_it_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stick = tmp_path / "stick"
    stick.mkdir()
    mounts = [SimpleNamespace(mountpoint="/", fstype="ext4"), SimpleNamespace(mountpoint=str(stick), fstype="FAT32")]
    monkeypatch.setattr(psutil, "disk_partitions", lambda all: mounts)
    assert (file_system(stick / "a" / "b"), file_system(tmp_path)) == ("fat32", "ext4")
    assert largest_file_bytes(stick / "new") == 2**32 - 1 and largest_file_bytes(tmp_path / "new") is None
    refuse_too_large(stick / "new", "w", 2**32 - 1, "hint")
    with pytest.raises(StorageError, match=r"w has 4\.3 GB; the disk of .* is formatted as FAT"):
        refuse_too_large(stick / "new", "w", 2**32, "hint")
    refuse_too_large(tmp_path, "w", 2**40, "hint")


def test_this_computers_own_disk_has_a_name() -> None:
    assert file_system(Path(__file__)) not in ("", "vfat")
