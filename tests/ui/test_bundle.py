"""A job is packed for another computer from the window, and a bundle is looked at and taken in."""

import shutil
import time
from dataclasses import replace
from pathlib import Path

import pytest
from nicegui import ui
from nicegui.testing import User

from desktop_app import paths
from desktop_app.domain.bundle_spec import BundleSpec, OpenBundleSpec
from desktop_app.domain.finetune_spec import FinetuneSpec
from desktop_app.domain.job import JobState
from desktop_app.domain.spec import parse_spec_text
from desktop_app.job_folder import JobFolder, Outcome, create_job_folder
from desktop_app.jobs.row import row_from_folder
from desktop_app.ui.tabs import history_tab
from desktop_app.ui.window_state import WindowState
from desktop_app.workers.run import run_worker
from tests.ui.patience import until
from tests.ui.tab_bench import FAKE_WORKER, choose, make_chats, make_model, open_tab, sees


@pytest.fixture
def job(state: WindowState, data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> JobFolder:
    """A training that was cancelled, in the history; the fake worker stands for real ones."""
    monkeypatch.setenv("WHETSTONE_FAKE_WORKER", str(FAKE_WORKER))
    model = make_model(tmp_path / "models" / "lamb")
    spec = FinetuneSpec(model=model, data=make_chats(tmp_path / "chats.jsonl"), name="shepherd")
    folder = create_job_folder(paths.jobs_dir(), "20260102-030405-shepherd-ab12", spec)
    folder.write_outcome(Outcome(state=JobState.CANCELLED, ended=time.time()))
    state.index.put(replace(row_from_folder(folder)))
    state.job_id = folder.id
    return folder


def last_spec() -> object:
    newest = max(paths.jobs_dir().glob("*/spec.json"), key=lambda file: file.stat().st_mtime_ns)
    return parse_spec_text(newest.read_bytes())


async def test_a_job_is_packed_with_what_was_ticked(
    user: User, state: WindowState, job: JobFolder, tmp_path: Path
) -> None:
    state.tab = "history"
    await state.look_at_jobs()
    await state.look_at_machine()
    ui.page("/")(lambda: history_tab.draw(state))
    await user.open("/")
    await user.should_see(content="o_work_outline", retries=50)
    user.find(content="o_work_outline").click()
    await sees(user, "Pack shepherd for another computer")
    await sees(user, " free")
    choose(user, "bundle-model", False)
    choose(user, "bundle-zip", True)
    choose(user, "bundle-target", str(tmp_path / "stick" / "b"))
    user.find(marker="start-bundle").click()
    await until(lambda: isinstance(last_spec(), BundleSpec))
    wanted = ("data", "result", "report", "checkpoint")
    assert last_spec() == BundleSpec(
        model=str(tmp_path / "models" / "lamb"),
        job=job.id,
        parts=wanted,
        as_zip=True,
        output=str(tmp_path / "stick" / "b"),
    )


async def test_a_bundle_is_looked_at_and_taken_in(
    user: User, state: WindowState, job: JobFolder, tmp_path: Path
) -> None:
    lamb = str(tmp_path / "models" / "lamb")
    packed = BundleSpec(model=lamb, job=job.id, parts=("data", "checkpoint"))
    made = create_job_folder(paths.jobs_dir(), "20260102-040000-bundle", packed)
    assert run_worker(made.path) == 0
    bundle = shutil.copytree(made.path / "result", tmp_path / "stick")
    shutil.rmtree(made.path)
    state.models.add([lamb])
    await open_tab(user, state, "models")
    state.dropped.emit([str(bundle)])  # understood as a bundle wherever a model could be named
    await sees(user, "Open a bundle")
    await sees(user, "shepherd · ")
    await sees(user, "free memory")
    source = next(iter(user.find(marker="bundle-source").elements))
    for named in (str(tmp_path), str(bundle), str(tmp_path)):  # what is named last counts, however long a look takes
        source.value = named
        user.find(marker="bundle-source").trigger("blur")
    await sees(user, "is no bundle")
    await user.should_not_see("shepherd · ")
    source.value = str(bundle)
    user.find(marker="bundle-source").trigger("blur")
    await user.should_see(marker="bundle-model", retries=50)
    field = next(iter(user.find(marker="bundle-model").elements))
    assert field.value == lamb
    field.value = ""
    user.find(marker="start-opening").click()
    await sees(user, "Name the folder of lamb")
    field.value = lamb
    user.find(marker="start-opening").click()
    await until(lambda: isinstance(last_spec(), OpenBundleSpec))
    spec = last_spec()
    assert isinstance(spec, OpenBundleSpec)
    assert (spec.bundle, spec.model) == (str(bundle), lamb)
    assert spec.output == str(paths.models_dir() / "stick")


async def test_a_result_in_the_history_is_exported(user: User, state: WindowState, job: JobFolder) -> None:
    done = replace(row_from_folder(job), state=JobState.SUCCEEDED, result=job.read_spec().model)
    state.index.put(done)
    state.tab = "history"
    await state.look_at_jobs()
    await state.look_at_machine()
    ui.page("/")(lambda: history_tab.draw(state))
    await user.open("/")
    await user.should_see(marker="export-result", retries=50)
    user.find(marker="export-result").click()
    await sees(user, "Export shepherd")
    await sees(user, " free")
