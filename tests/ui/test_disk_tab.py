"""The disk tab: each byte is told once, what goes is asked for first, and only that goes."""

from pathlib import Path

import pytest
from nicegui.testing import User

from desktop_app.disk_use import disk_use
from desktop_app.domain.job import JobState
from desktop_app.domain.spec import parse_spec
from desktop_app.errors import JobError, StorageError
from desktop_app.hardware.disk import folder_bytes
from desktop_app.job_folder import JobFolder, Outcome, create_job_folder
from desktop_app.jobs.free_space import free_job, free_orphan
from desktop_app.paths import jobs_dir, models_dir
from desktop_app.ui.window_state import WindowState
from tests.fakes.fake_service import FakeService
from tests.ui.patience import until
from tests.ui.tab_bench import open_tab, sees


def job(name: str, state: JobState | None, **output: str) -> JobFolder:
    spec = {"kind": "finetune", "model": "/m/tiny", "data": "/d.jsonl", "name": name, **output}
    folder = create_job_folder(jobs_dir(), f"20260101-000000-{name}-0000", parse_spec(spec))
    fill(folder.path / "checkpoints" / "step-10" / "weights.safetensors", 3_000_000)
    if state is not None:
        folder.write_outcome(Outcome(state=state, ended=1.0))
    return folder


def fill(file: Path, size: int) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(bytes(size))
    return file


def test_every_byte_of_the_data_folder_is_told_once(data_dir: Path, tmp_path: Path) -> None:
    done = job("done", JobState.SUCCEEDED)
    fill(done.path / "result" / "adapter.safetensors", 500_000)
    dead = job("dead", JobState.INTERRUPTED)
    fill(dead.path / ".result.part-x" / "half", 700_000)
    elsewhere = job("elsewhere", JobState.SUCCEEDED, output=str(tmp_path / "out"))
    fill(tmp_path / "out" / "model", 900_000)
    fill(models_dir() / "mine" / "model.safetensors", 2_000_000)
    fill(models_dir() / ".gone.part-20250101-000000-gone-0000" / "half", 400_000)
    use = disk_use([str(models_dir() / "mine"), str(tmp_path / "out")])
    told = {one.id.split("-")[2]: one for one in use.jobs}
    assert (told["done"].result, told["done"].checkpoints, told["done"].half) == (500_000, 3_000_000, 0)
    assert (told["dead"].half, told["dead"].is_dead, told["elsewhere"].result) == (700_000, True, 900_000)
    assert [(one.group, one.size) for one in use.places if one.group in ("model", "half")] == [
        ("model", 2_000_000),
        ("half", 400_000),
    ]
    in_jobs = sum(one.checkpoints + one.half + one.result + one.other for one in use.jobs)
    assert in_jobs == folder_bytes(jobs_dir()) + 900_000
    assert {one.id for one in use.spare} == {done.id, elsewhere.id}


def test_only_what_was_named_goes(data_dir: Path) -> None:
    done, running = job("done", JobState.SUCCEEDED), job("running", None)
    result = fill(done.path / "result" / "adapter.safetensors", 500_000)
    assert free_job(done.id) == 3_000_000
    assert result.exists() and done.has_outcome and not done.checkpoints_dir.exists()
    with pytest.raises(JobError, match="has not ended"):
        free_job(running.id)
    half = fill(models_dir() / f".m.part-{running.id}" / "x", 10).parent
    for path in (half, models_dir(), jobs_dir() / running.id, models_dir() / ".." / "jobs"):
        with pytest.raises(StorageError, match="no half-written folder"):
            free_orphan(str(path))
    lost = fill(models_dir() / ".m.part-20250101-000000-gone-0000" / "x", 10).parent
    assert free_orphan(str(lost)) == 10 and not lost.exists() and half.exists()


async def test_what_can_go_is_offered_asked_for_and_freed(user: User, state: WindowState) -> None:
    done = job("support", JobState.SUCCEEDED)
    await open_tab(user, state, "disk")
    await sees(user, "Checkpoints of one job that has its result: 3.0 MB. The results stay.")
    user.find(marker="free-spare").click()
    await sees(user, "Free 3.0 MB?")
    user.find("Keep it").click()
    assert done.checkpoints_dir.exists()
    user.find(marker="free-spare").click()
    await sees(user, "Free it")
    user.find("Free it").click()
    await until(lambda: not done.checkpoints_dir.exists())
    await sees(user, "no finished job keeps checkpoints")


async def test_what_a_dead_job_left_can_be_deleted_or_gone_on_with(
    user: User, state: WindowState, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("desktop_app.jobs.submit.ensure_supervisor", lambda: None)
    first, second = job("first", JobState.INTERRUPTED), job("second", JobState.FAILED)
    await open_tab(user, state, "disk")
    await sees(user, "interrupted, its checkpoints")
    user.find(marker=f"delete-{second.id}").click()
    await sees(user, "Delete what second left?")
    user.find("Delete it").click()
    await until(lambda: not second.checkpoints_dir.exists())
    assert second.has_outcome and first.checkpoints_dir.exists()
    await user.should_not_see(marker=f"delete-{second.id}", retries=20)
    user.find(marker=f"resume-{first.id}").click()
    await until(lambda: state.tab == "jobs" and not first.has_outcome)


async def test_a_disk_that_is_almost_full_says_so_and_what_can_go(user: User, state: WindowState) -> None:
    kept = {"id": "a", "name": "a", "kind": "finetune", "state": "succeeded", "checkpoints": 9_000_000_000}
    state.reader = FakeService(disk_use=lambda models: {"free": 310_000_000, "jobs": [kept], "places": []})
    await open_tab(user, state, "disk")
    await sees(user, "This disk is almost full: 310 MB free.")
    await sees(user, "9.0 GB of checkpoints can go without loss.")
