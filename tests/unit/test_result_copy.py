"""A result is copied whole or not at all, and nothing is ever overwritten."""

import errno
import os
import shutil
import stat
from pathlib import Path

import pytest

from desktop_app.errors import StorageError
from desktop_app.result_folder import ResultFolder, copy_result, manifest_problems, write_manifest


@pytest.fixture
def result(tmp_path: Path) -> Path:
    folder = tmp_path / "result"
    (folder / "deep").mkdir(parents=True)
    (folder / "weights.bin").write_bytes(os.urandom(9_000_000))
    (folder / "deep" / "config.json").write_text("{}")
    write_manifest(folder, {})
    return folder


def test_a_copy_is_whole(result: Path, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    assert copy_result(result, tmp_path / "copy", lambda done, total: told.append((done, total)) is None)
    assert manifest_problems(tmp_path / "copy") == []
    assert told[-1][0] == told[-1][1]
    assert len(told) > 3


def test_what_exists_is_left_alone(result: Path, tmp_path: Path) -> None:
    (tmp_path / "copy").mkdir()
    with pytest.raises(StorageError, match="exists already"):
        copy_result(result, tmp_path / "copy", lambda done, total: True)
    assert list((tmp_path / "copy").iterdir()) == []


def test_giving_up_leaves_nothing(result: Path, tmp_path: Path) -> None:
    assert not copy_result(result, tmp_path / "copy", lambda done, total: done < 5_000_000)
    assert [path.name for path in tmp_path.iterdir()] == ["result"]


def test_too_little_space_is_told_before_anything_is_written(
    result: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**12, 10**12, 1000))
    with pytest.raises(StorageError, match=r"0\.0 GB free"):
        copy_result(result, tmp_path / "copy", lambda done, total: True)
    assert [path.name for path in tmp_path.iterdir()] == ["result"]


def test_a_missing_place_is_told_in_words(result: Path, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot be copied"):
        copy_result(result, tmp_path / "nowhere" / "copy", lambda done, total: True)


def test_a_result_that_is_gone_gives_no_empty_copy(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="no longer there"):
        copy_result(tmp_path / "gone", tmp_path / "copy", lambda done, total: True)
    assert not (tmp_path / "copy").exists()


@pytest.mark.parametrize("code", [errno.EPERM, errno.ENOSYS])  # as Linux answers for FAT, and FUSE's drivers
def test_a_result_can_be_finished_on_a_disk_that_knows_no_rights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def refuse(self: Path, mode: int) -> None:
        raise OSError(code, os.strerror(code))

    def refuse_folders(handle: int) -> None:
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(errno.EINVAL, "Invalid argument")  # of a disk that cannot sync a folder

    monkeypatch.setattr(Path, "chmod", refuse)
    monkeypatch.setattr(os, "fsync", refuse_folders)
    result = ResultFolder(tmp_path / "out", "job")
    (result.part / "a").write_text("x")
    assert manifest_problems(result.finish({}, lambda part: None)) == []
