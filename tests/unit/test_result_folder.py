"""A result appears whole or not at all; what an ended attempt has written is there for the next one of the same job."""

from pathlib import Path

import pytest

from desktop_app.result_folder import MANIFEST, ResultFolder


def _begun(tmp_path: Path, made_for: str = "these settings") -> ResultFolder:
    return ResultFolder(tmp_path / "result", "job", made_for)


def test_ended_while_it_is_checked_what_is_written_is_taken_over(tmp_path: Path) -> None:
    def ended(part: Path) -> None:
        raise KeyboardInterrupt

    first = _begun(tmp_path)
    (first.part / "weights").write_bytes(b"hours of work")
    with pytest.raises(KeyboardInterrupt):
        first.finish({}, ended)
    again = _begun(tmp_path)
    assert (again.part / "weights").read_bytes() == b"hours of work"
    final = again.finish({}, lambda part: None)
    assert sorted(path.name for path in final.iterdir()) == [MANIFEST, "weights"]


def test_of_other_settings_nothing_is_taken_over(tmp_path: Path) -> None:
    first = _begun(tmp_path)
    (first.part / "weights").write_bytes(b"of other settings")
    assert not list(_begun(tmp_path, "others").part.glob("weights"))
