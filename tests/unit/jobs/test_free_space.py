"""What an end by force leaves of a job that cannot go on is removed; what a job goes on from stays."""

from pathlib import Path

from desktop_app.disk_use import half_done
from desktop_app.domain.spec import parse_spec
from desktop_app.job_folder import JobFolder, create_job_folder
from desktop_app.jobs.free_space import clear_useless
from desktop_app.result_folder import part_folder


def _left(tmp_path: Path, kind: str) -> JobFolder:
    spec = parse_spec({"kind": kind, "model": "/m", "output": str(tmp_path / kind)})
    job = create_job_folder(tmp_path / "jobs", f"20260101-000000-{kind}-0000", spec)
    for folder in (part_folder(tmp_path / kind, job.id), job.path / "export", job.path / "checkpoints"):
        folder.mkdir()
        (folder / "x").write_bytes(b"x")
    return job


def test_a_half_written_export_goes_and_a_half_written_copy_stays(tmp_path: Path) -> None:
    export, copy = _left(tmp_path, "export"), _left(tmp_path, "bring_in")
    assert len(half_done(export)) == 2
    for job, kind in ((export, "export"), (copy, "bring_in")):
        clear_useless(job, kind)
    assert half_done(export) == [] and export.checkpoints_dir.is_dir()
    assert part_folder(tmp_path / "bring_in", copy.id).is_dir()
