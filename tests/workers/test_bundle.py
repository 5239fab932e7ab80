"""A bundle goes to another computer and its run goes on there, bit by bit; what is damaged or hostile is refused."""

import json
import os
import shutil
import stat
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from desktop_app import paths
from desktop_app.domain.job import JobState
from desktop_app.domain.spec import parse_spec
from desktop_app.errors import AppError
from desktop_app.job_folder import JobFolder, Outcome, Request, create_job_folder
from desktop_app.jobs import submit
from desktop_app.library.bundle import BUNDLE, BundleReader
from desktop_app.result_folder import manifest_problems, sha256_of
from desktop_app.workers.run import run_worker
from tests.workers.running import DEMO_DATA, DEMO_MODEL, Ran, has_reached, run_job, training, when

pytestmark = pytest.mark.filterwarnings("ignore")
JOB = "20260102-030405-lindow-lora-ab12"


class Computer:
    """A data folder of its own; `use` makes it the program's."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def use(self) -> "Computer":
        os.environ["WHETSTONE_DATA_DIR"] = str(self.folder)
        return self

    def run(self, **spec: Any) -> Ran:
        self.use()
        return run_job(paths.make_private_dir(paths.jobs_dir()), **spec)

    def end(self, job: JobFolder, state: JobState) -> None:
        job.write_outcome(Outcome(state=state, ended=time.time()))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Any:
    before = os.environ.get("WHETSTONE_DATA_DIR")
    yield Computer(tmp_path_factory.mktemp("home") / "data")
    os.environ.pop("WHETSTONE_DATA_DIR") if before is None else os.environ.update(WHETSTONE_DATA_DIR=before)


@pytest.fixture(scope="module")
def data(home: Computer) -> Path:
    """Data of the user's own, with an edit of a row."""
    file = home.folder.parent / "mine" / "chats.jsonl"
    file.parent.mkdir()
    shutil.copyfile(DEMO_DATA, file)
    return file


@pytest.fixture(scope="module")
def cut_off(home: Computer, data: Path) -> JobFolder:
    """A training that the user cancelled after its fourth step, with a checkpoint."""
    from desktop_app.domain.data_choice import RowEdit
    from desktop_app.training_data.overlay import Overlay, overlay_path, write_overlay

    overlay = Overlay()
    edits = [
        RowEdit(action="leave_out", source=str(data), number=2),
        RowEdit(action="leave_out", source=str(data), number=9),
    ]
    overlay.apply(edits, data.parent)
    write_overlay(overlay_path(data), overlay)
    home.use()
    spec = parse_spec(TRAINING | {"data": str(data), "overlay": str(overlay_path(data))})
    job = create_job_folder(paths.make_private_dir(paths.jobs_dir()), JOB, spec)
    watching = when(has_reached(job, 4), lambda: job.ask(Request.CANCEL))
    assert run_worker(job.path) == 130
    watching.join()
    job.take_back(Request.CANCEL)
    home.end(job, JobState.CANCELLED)
    job.write_note("my note")
    assert list(job.checkpoints_dir.glob("step-*"))
    return job


TRAINING = training(max_steps=14, save_steps=2, held_out=0.0, epochs=10)


@pytest.fixture(scope="module")
def bundle(home: Computer, cut_off: JobFolder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("stick") / "bundle"
    ran = home.run(kind="bundle", model=str(DEMO_MODEL), job=JOB, output=str(place))
    assert ran.code == 0, ran.last
    return ran.result


def losses(job: JobFolder) -> dict[int, float]:
    return {
        event.step: event.values["loss"]
        for event in job.read_events().events
        if event.kind == "metric" and "loss" in event.values
    }


def test_a_run_goes_on_at_another_computer_with_the_same_losses(
    home: Computer, data: Path, bundle: Path, cut_off: JobFolder, tmp_path: Path
) -> None:
    away = Computer(tmp_path / "away")
    moved = shutil.copytree(bundle, tmp_path / "stick")
    hidden = data.rename(data.with_suffix(".gone"))  # nothing of the first computer is there any more
    try:
        ran = away.run(kind="open_bundle", bundle=str(moved), output=str(away.folder / "models" / "lindow"))
        assert ran.code == 0, ran.last
        assert ran.last.summary["imported_job"] == JOB and "free" in ran.last.checks["this computer"]
        assert manifest_problems(ran.result) == []
        job = submit.folder_of(JOB)
        spec = job.read_spec()
        assert Path(spec.model) == ran.result / "model" / DEMO_MODEL.name
        assert Path(spec.data).is_relative_to(ran.result) and Path(spec.overlay).is_relative_to(ran.result)
        assert job.read_note() == "my note" and job.read_outcome().state is JobState.CANCELLED
        job.forget_outcome()
        assert run_worker(job.path) == 0
    finally:
        hidden.rename(data)
    whole = home.run(**json.loads(cut_off.spec_file.read_text()))
    wanted, found = losses(whole.folder), losses(job)
    assert len(wanted) == 14 and found == wanted
    assert any(
        "Going on from the checkpoint" in event.text for event in job.read_events().events if event.kind == "notice"
    )
    weights = "adapter_model.safetensors"
    assert sha256_of(job.path / "result" / weights) == sha256_of(whole.result / weights)


def test_a_finished_job_comes_with_its_result_and_a_base_that_is_found(home: Computer, tmp_path: Path) -> None:
    done = home.run(**training(max_steps=2))
    home.end(done.folder, JobState.SUCCEEDED)
    made = home.run(
        kind="bundle", model=str(DEMO_MODEL), job=done.folder.id, as_zip=True,
        parts=["model", "preset", "result", "report"], output=str(tmp_path / "stick"),
    )  # fmt: skip
    assert sorted(path.suffix for path in made.result.iterdir()) == [".json", ".zip"]
    file = next(made.result.glob("*.zip"))
    away = Computer(tmp_path / "away")
    ran = away.run(kind="open_bundle", bundle=str(file), output=str(away.folder / "models" / "x"))
    assert ran.code == 0, ran.last
    assert "did not come along" in ran.last.checks["data"]
    assert "rank: 8" in (ran.result / "preset.yaml").read_text()
    job = submit.folder_of(ran.last.summary["imported_job"])
    assert job.read_outcome().state is JobState.SUCCEEDED
    assert job.read_events().events[-1].result == str(job.path / "result")
    assert manifest_problems(job.path / "result") == []
    config = json.loads((job.path / "result" / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == str(ran.result / "model" / DEMO_MODEL.name)
    again = away.run(kind="open_bundle", bundle=str(file), output=str(away.folder / "models" / "y"))
    assert again.last.summary["imported_job"] not in ("", job.id)  # the first one stays as it is


def test_a_job_without_its_model_goes_on_with_the_same_one_here_only(
    home: Computer, cut_off: JobFolder, tmp_path: Path
) -> None:
    made = home.run(kind="bundle", model=str(DEMO_MODEL), job=JOB, parts=["checkpoint"])
    away = Computer(tmp_path / "away")
    missing = away.run(kind="open_bundle", bundle=str(made.result))
    assert "not lindow-1.8m" in missing.last.message and "Name the folder" in missing.last.hint
    other = shutil.copytree(DEMO_MODEL, tmp_path / "other")
    (other / "config.json").write_text(
        (other / "config.json").read_text().replace('"rms_norm_eps": 1e-06', '"rms_norm_eps": 1e-05') + " "
    )
    wrong = away.run(kind="open_bundle", bundle=str(made.result), model=str(other))
    assert "is not the model that the job works on" in wrong.last.message
    right = away.run(kind="open_bundle", bundle=str(made.result), model=str(DEMO_MODEL))
    assert right.code == 0 and submit.folder_of(JOB).read_spec().model == str(DEMO_MODEL)


@pytest.mark.parametrize("as_zip", [False, True])
def test_a_damaged_file_is_named_and_nothing_is_taken_in(
    home: Computer, bundle: Path, tmp_path: Path, as_zip: bool
) -> None:
    spoiled = shutil.copytree(bundle, tmp_path / "stick")
    name = f"model/{DEMO_MODEL.name}/model.safetensors"
    place = spoiled
    if as_zip:
        place = tmp_path / "stick.zip"
        with zipfile.ZipFile(place, "w") as archive:
            for path in spoiled.rglob("*"):
                if path.is_file():
                    archive.write(path, f"stick/{path.relative_to(spoiled).as_posix()}")
            offset = archive.getinfo(f"stick/{name}").header_offset
        file, at = place, offset + 5_000
    else:
        file, at = spoiled / name, 5_000
    with file.open("r+b") as stream:
        stream.seek(at)
        byte = stream.read(1)[0]
        stream.seek(at)
        stream.write(bytes([byte ^ 1]))
    away = Computer(tmp_path / "away")
    ran = away.run(kind="open_bundle", bundle=str(place), output=str(tmp_path / "here"))
    assert ran.last.kind == "failed" and f"{name} is damaged" in ran.last.message
    assert not (tmp_path / "here").exists() and not (away.folder / "jobs" / JOB).exists()
    (spoiled / "README.md").unlink()
    with pytest.raises(AppError, match=r"README\.md is missing"):
        BundleReader(spoiled)
    (spoiled / "README.md").write_bytes(b"short")
    with pytest.raises(AppError, match=r"README\.md .* has 5 bytes, not"):
        BundleReader(spoiled)


def listed(files: dict[str, bytes], **more: Any) -> str:
    import hashlib

    sums = {name: {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()} for name, data in files.items()}
    return json.dumps({"version": 1, "made_by": "0", "name": "x", "files": sums, **more})


@pytest.mark.parametrize(
    "name",
    [
        "../evil", "/etc/evil", "model/../../evil", "C:/evil", "model\\x\\evil", "model/a/.ssh", "run/process.json",
        "run/request-cancel", "settings/storage-general.json", "model/a/CON", "model/a/x ",
        "run/checkpoints/step-1/../../x",
    ],
)  # fmt: skip
def test_a_name_that_leads_elsewhere_is_refused(tmp_path: Path, name: str) -> None:
    place = tmp_path / "bad.zip"
    with zipfile.ZipFile(place, "w") as archive:
        archive.writestr(BUNDLE, listed({name: b"x"}))
        archive.writestr(name, b"x")
    with pytest.raises(AppError, match="no file that a bundle has"):
        BundleReader(place)
    folder = tmp_path / "bad"
    folder.mkdir()
    (folder / BUNDLE).write_text(listed({name: b"x"}))
    with pytest.raises(AppError, match="no file that a bundle has"):
        BundleReader(folder)


def _bomb(archive: zipfile.ZipFile) -> None:
    archive.writestr("data/1/x", bytes(20_000_000), zipfile.ZIP_DEFLATED)


def _link(archive: zipfile.ZipFile) -> None:
    info = zipfile.ZipInfo("data/1/x")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    archive.writestr(info, b"/etc/passwd")


def _twice(archive: zipfile.ZipFile) -> None:
    archive.writestr("data/1/x", b"a")
    archive.writestr("data/1/x", b"b")


def _lzma(archive: zipfile.ZipFile) -> None:
    archive.writestr("data/1/x", b"a" * 100, zipfile.ZIP_LZMA)


@pytest.mark.parametrize(
    ("fill", "size", "said"),
    [
        (_bomb, 20_000_000, "swells from"),
        (_link, 11, "is a link"),
        (_twice, 1, "twice"),
        (_lzma, 100, "packed in a way"),
    ],
)
def test_a_hostile_zip_is_refused_before_it_is_unpacked(
    tmp_path: Path, fill: Callable[[zipfile.ZipFile], None], size: int, said: str
) -> None:
    place = tmp_path / "bad.zip"
    with zipfile.ZipFile(place, "w") as archive:
        fill(archive)
        archive.writestr(BUNDLE, listed({"data/1/x": bytes(size)}))
    with pytest.raises(AppError, match=said):
        BundleReader(place)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"version": 2}', "[" * 100_000, '{"version": 1, "files": 3}'])
def test_a_damaged_list_is_told(tmp_path: Path, text: str) -> None:
    (tmp_path / BUNDLE).write_text(text)
    with pytest.raises(AppError, match="is damaged"):
        BundleReader(tmp_path)
    for place in (tmp_path / "nothing", tmp_path):
        (tmp_path / BUNDLE).unlink(missing_ok=True)
        with pytest.raises(AppError, match="is no bundle"):
            BundleReader(place)


def test_a_job_at_work_is_not_packed(home: Computer, tmp_path: Path) -> None:
    home.use()
    job = create_job_folder(paths.make_private_dir(paths.jobs_dir()), "20260102-030405-at-work", parse_spec(TRAINING))
    ran = home.run(kind="bundle", model=str(DEMO_MODEL), job=job.id)
    assert "has not ended" in ran.last.message and not (ran.folder.path / "result").exists()
    shutil.rmtree(job.path)
