"""A disk's verdict is the one that the job would give."""

from pathlib import Path

import pytest

from desktop_app.errors import StorageError
from desktop_app.hardware import disk
from desktop_app.hardware.disk import check_space
from desktop_app.memory_plan.disk import DiskRoom
from desktop_app.ui.widgets.disk_line import room_text


@pytest.mark.parametrize(("free", "fits"), [(13_000_000, False), (20_100_000, False), (20_200_000, True)])
def test_what_the_dialog_says_fits_is_started(
    free: int, fits: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk, "free_bytes", lambda path: free)
    room = DiskRoom(folder=str(tmp_path), needed_bytes=166_000, free_bytes=free)
    assert room_text(room).startswith("Does not fit: 166 kB and 20 MB for small files") is not fits
    try:
        check_space(room.needed_bytes, tmp_path)
    except StorageError:
        assert room.is_too_small
    else:
        assert not room.is_too_small


def test_a_job_that_writes_no_weights_is_not_measured_by_them(tmp_path: Path) -> None:
    assert not DiskRoom(folder=str(tmp_path), needed_bytes=0, free_bytes=1_000).is_too_small
