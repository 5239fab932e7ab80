"""The History tab over real job folders and a real index: finding a job, its details, what is done with it."""

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from nicegui import ui
from nicegui.testing import User

from desktop_app import paths
from desktop_app.domain.job import Job, JobState
from desktop_app.job_folder import JobFolder
from desktop_app.jobs.findings import findings_of
from desktop_app.os_lock import OsLock
from desktop_app.ui.tabs import history_tab
from desktop_app.ui.window_state import WindowState
from tests.fakes.example_history import fill
from tests.ui.patience import PATIENT, until
from tests.ui.tab_bench import pick


@pytest.fixture
def jobs(state: WindowState, data_dir: Path) -> Iterator[dict[str, Job]]:
    """Fill index and folders with jobs in every state; no supervisor takes them up while the test looks."""
    fill(data_dir, paths.jobs_dir(), state.index, time.time())
    with OsLock(paths.supervisor_lock()) as lock:
        assert lock.acquire()
        yield {job.name: job for job in state.index.jobs()}


async def opened(user: User, state: WindowState, job: Job | None = None) -> None:
    state.tab = "history"
    state.job_id = job.id if job is not None else ""
    await state.look_at_jobs()
    ui.page("/")(lambda: history_tab.draw(state))
    await user.open("/")


def table(user: User) -> ui.table:
    return next(iter(user.find(ui.table).elements))


def names(user: User) -> list[str]:
    return [row["name"] for row in table(user).rows]


def search(user: User, text: str) -> None:
    fields = user.find(ui.input).elements
    next(field for field in fields if field.props.get("aria-label") == "Search the history").set_value(text)


async def test_all_jobs_newest_first(user: User, state: WindowState, jobs: dict[str, Job]) -> None:
    await opened(user, state)
    assert names(user)[:3] == ["letters-german-v3", "Llama-3.2-1B-nf4", "support-qwen-1.5b"]
    assert set(names(user)) == set(jobs)
    await user.should_see(f"{len(jobs)} jobs")
    by_name = {row["name"]: row for row in table(user).rows}
    assert by_name["support-qwen-r16"]["loss"] == "1.198"
    assert by_name["support-qwen-r16"]["time"] == "46 min"
    assert by_name["gsm8k-smollm-lr3"]["reason"] == "The loss became not a number at step 41."


async def test_curves_come_after_the_rows(user: User, state: WindowState, jobs: dict[str, Job]) -> None:
    await opened(user, state)
    await until(lambda: all(row["curve"] for row in table(user).rows if row["name"].startswith("support-qwen")))
    assert not [row["curve"] for row in table(user).rows if row["name"].endswith("nf4") and row["curve"]]


async def test_filter_by_text_and_chips(user: User, state: WindowState, jobs: dict[str, Job]) -> None:
    await opened(user, state)
    search(user, "qwen r8")
    assert names(user) == ["support-qwen-r8"]
    search(user, "pilot")  # a word of the user's own note
    assert names(user) == ["support-qwen-r16"]
    search(user, "")
    chip_of(user, "Failed").selected = True
    assert set(names(user)) == {job.name for job in jobs.values() if job.state is JobState.FAILED}
    search(user, "no such word")
    await user.should_see("No job fits the filter.")
    user.find(kind=ui.button, content="Show all").click()
    assert set(names(user)) == set(jobs)


def shown_text(chip: ui.element) -> str:
    return " ".join(child.text for child in chip.descendants() if isinstance(child, ui.label))


async def test_sorting_is_by_value_and_unknown_values_come_last(
    user: User, state: WindowState, jobs: dict[str, Job]
) -> None:
    await opened(user, state)
    for descending in (False, True):
        user.find(ui.table).trigger("request", {"pagination": {"sortBy": "loss", "descending": descending}})
        losses = [row["loss"] for row in table(user).rows]
        known = [float(loss) for loss in losses if loss != "–"]
        assert known == sorted(known, reverse=descending)
        assert losses[len(known) :] == ["–"] * (len(losses) - len(known))


async def test_the_details_of_a_job(user: User, state: WindowState, jobs: dict[str, Job]) -> None:
    job = jobs["support-qwen-r16"]
    await opened(user, state)
    user.find(ui.table).trigger("rowClick", [{}, {"id": job.id}, None])
    await user.should_see("3 files, hashes agree", retries=PATIENT)
    await user.should_see(job.result)
    await user.should_see("at their default")
    assert next(iter(user.find(ui.textarea).elements)).value == "Best tone so far; use for the pilot."
    order = [label.text for label in ui_labels(user)]
    assert order.index("Method") < order.index("Learning rate")  # what was changed stands first
    user.find(kind=ui.button, content="Run again").click()
    await until(lambda: state.prefill is not None)
    assert state.prefill is not None
    assert state.prefill.model_dump(mode="json") == job.spec


def ui_labels(user: User) -> list[ui.label]:
    return sorted(user.find(ui.label).elements, key=lambda label: label.id)


async def test_a_note_is_kept(user: User, state: WindowState, jobs: dict[str, Job]) -> None:
    job = jobs["demo"]
    await opened(user, state, job)
    next(iter(user.find(ui.textarea).elements)).set_value("Works on the old laptop.")
    await until(lambda: (kept := state.index.job(job.id)) is not None and kept.note == "Works on the old laptop.")
    assert (paths.jobs_dir() / job.id / "note.txt").read_text(encoding="utf-8") == "Works on the old laptop."


async def test_tags_find_a_job_and_archive_hides_it_until_asked_for(
    user: User, state: WindowState, jobs: dict[str, Job]
) -> None:
    job = jobs["demo"]
    await opened(user, state, job)
    next(iter(user.find(marker="job-tags").elements)).value = ["  old   laptop ", "pilot", "pilot"]
    await until(lambda: (kept := state.index.job(job.id)) is not None and kept.tags == ("old laptop", "pilot"))
    assert JobFolder(paths.jobs_dir() / job.id).read_marks().tags == ("old laptop", "pilot")
    await state.look_at_jobs()
    search(user, "laptop")
    assert names(user) == ["demo"]
    search(user, "")
    chip_of(user, "pilot").selected = True
    assert names(user) == ["demo"]
    user.find(marker="archive").click()
    await user.should_see("No job fits the filter.", retries=PATIENT)
    user.find(kind=ui.button, content="Show all").click()
    assert len(names(user)) == len(jobs) - 1
    chip_of(user, "Archived").selected = True
    assert names(user) == ["demo"]
    user.find(ui.table).trigger("rowClick", [{}, {"id": job.id}, None])
    user.find(marker="archive").click()
    await until(lambda: len(names(user)) == len(jobs))


def chip_of(user: User, text: str) -> ui.chip:
    return next(chip for chip in user.find(ui.chip).elements if shown_text(chip).startswith(text))


async def test_ticked_runs_are_compared(user: User, state: WindowState, jobs: dict[str, Job]) -> None:
    await opened(user, state)
    ids = [jobs[name].id for name in ("support-qwen-r16", "letters-german-v2")]
    tick(user, ids[:1])
    await user.should_see("1 ticked; tick 2 to 8")
    assert not next(iter(user.find(marker="compare").elements)).enabled
    search(user, "letters")  # the first stays ticked though it is out of sight
    tick(user, ids[1:])
    user.find(marker="compare").click()
    await user.should_see("2 runs", retries=PATIENT)
    await user.should_see("These runs differ in", retries=PATIENT)
    compared = texts_below(user, "compared")
    place = compared.index("Evaluation loss after")
    assert compared[place + 1 : place + 4] == ["best", "1.236", "1.415"]
    settings = texts_below(user, "settings")
    assert settings[settings.index("Method") + 1 :][:2] == ["qlora", "lora"] and "Rank" not in settings
    await user.should_see(ui.echart, retries=PATIENT)  # the curves are read in a thread
    chart = next(iter(user.find(ui.echart).elements))
    await until(lambda: len(chart.options["series"]) == 4)
    assert [line["name"] for line in chart.options["series"]][:2] == [
        "support-qwen-r16",
        "support-qwen-r16, evaluation",
    ]
    next(iter(user.find(marker="all-settings").elements)).value = True
    assert "Rank" in texts_below(user, "settings")
    user.find(kind=ui.button, content="Back to History").click()
    search(user, "")
    user.find(marker="archive-ticked").click()
    await until(lambda: len(names(user)) == len(jobs) - 2)
    assert all((kept := state.index.job(job_id)) is not None and kept.is_archived for job_id in ids)


def tick(user: User, ids: list[str]) -> None:
    rows = [row for row in table(user).rows if row["id"] in ids]
    user.find(ui.table).trigger("selection", {"added": True, "rows": rows, "keys": [row["id"] for row in rows]})


def texts_below(user: User, marker: str) -> list[str]:
    grid = next(iter(user.find(marker=marker).elements))
    return [child.text for child in grid.descendants() if isinstance(child, ui.label)]


async def test_deleting_names_the_size_and_removes_the_files(
    user: User, state: WindowState, jobs: dict[str, Job]
) -> None:
    job = jobs["gsm8k-smollm-lr3"]
    folder = paths.jobs_dir() / job.id
    (folder / "checkpoints").mkdir()
    (folder / "checkpoints" / "weights.bin").write_bytes(bytes(7_300_000))
    await opened(user, state, job)
    user.find(kind=ui.button, content="o_delete").click()
    await user.should_see("Delete 7.3 MB", retries=PATIENT)
    user.find(kind=ui.button, content="Keep it").click()
    await user.should_not_see("Delete 7.3 MB", retries=PATIENT)
    assert folder.is_dir()
    user.find(kind=ui.button, content="o_delete").click()
    await user.should_see("Delete 7.3 MB", retries=PATIENT)
    user.find(kind=ui.button, content="Delete 7.3 MB").click()
    await until(lambda: state.index.job(job.id) is None and not folder.exists())
    await until(lambda: job.name not in names(user))
    assert len(names(user)) == len(jobs) - 1


async def test_deleting_a_job_says_that_a_result_elsewhere_stays(
    user: User, state: WindowState, jobs: dict[str, Job], tmp_path: Path
) -> None:
    elsewhere = tmp_path / "my adapters"
    elsewhere.mkdir()
    job = replace(jobs["demo"], result=str(elsewhere))
    state.index.put(job)
    await opened(user, state, job)
    user.find(kind=ui.button, content="o_delete").click()
    await user.should_see(f"The result in {elsewhere} stays.", retries=PATIENT)


async def test_an_interrupted_job_can_be_resumed(user: User, state: WindowState, jobs: dict[str, Job]) -> None:
    job = jobs["gsm8k-llama-1b"]
    await opened(user, state, job)
    await user.should_see(kind=ui.button, content="Resume", retries=PATIENT)
    await user.should_see(job.hint)


async def test_a_copy_of_the_result_is_saved_elsewhere(
    user: User, state: WindowState, jobs: dict[str, Job], tmp_path: Path
) -> None:
    job = jobs["support-qwen-r16"]
    await opened(user, state, job)
    await user.should_see(marker="save-copy", retries=PATIENT)
    user.find(marker="save-copy").click()
    await pick(user, str(tmp_path))
    await user.should_see("Saved as", retries=PATIENT)
    files = {file.name: file.read_bytes() for file in Path(job.result).iterdir()}
    assert {file.name: file.read_bytes() for file in (tmp_path / job.id).iterdir()} == files
    user.find(marker="save-copy").click()
    await pick(user, str(tmp_path))
    await user.should_see("exists already", retries=PATIENT)  # and nothing was overwritten


async def test_ten_thousand_jobs_reach_the_page_in_pieces(user: User, state: WindowState, data_dir: Path) -> None:
    spec = {"kind": "quantize", "model": "/models/tiny", "method": "nf4"}
    plain = Job(
        id="0", kind="quantize", name="tiny", state=JobState.SUCCEEDED, method="nf4", model="/models/tiny", data="",
        spec=spec, created=0.0, started=0.0, ended=9.0, summary={},
    )  # fmt: skip
    state.jobs = [replace(plain, id=f"job-{n}", name=f"tiny-{n}", created=-float(n)) for n in range(10_000)]
    state.tab = "history"
    ui.page("/")(lambda: history_tab.draw(state))
    await user.open("/")
    await user.should_see("10,000 jobs")
    assert 50 <= len(table(user).rows) <= 200
    begun = time.monotonic()
    search(user, "tiny-9999")
    assert names(user) == ["tiny-9999"]
    search(user, "")
    assert time.monotonic() - begun < 5  # some 50 ms here
    shown = len(table(user).rows)
    user.find(ui.table).trigger("virtualScroll", {"to": shown - 1})
    assert len(table(user).rows) > shown


async def test_without_jobs_it_says_what_will_be_here(user: User, state: WindowState) -> None:
    await opened(user, state)
    await user.should_see("No jobs yet")
    user.find(kind=ui.button, content="Fine-tune a model").click()
    assert state.tab == "finetune"


async def test_what_a_run_means_stands_in_words_each_with_a_button_that_works(
    user: User, state: WindowState, jobs: dict[str, Job]
) -> None:
    job = jobs["support-qwen-r16"]
    await opened(user, state, job)
    await user.should_see("Held-out loss rose after step 300", retries=PATIENT)
    await user.should_see("Worse than the base on 31 of 50 held-out rows.")
    await user.should_see("92 % of the tokens were masked")
    user.find(marker="do-worse_rows").click()
    await until(lambda: state.tab == "finetune")
    await user.should_see("Filled in like that run")
    assert state.prefill is not None and state.prefill.learning_rate == job.spec["learning_rate"] / 2  # type: ignore[union-attr]
    user.find(marker="do-rose").click()  # the checkpoint of this made-up job is empty, and that is said
    await user.should_see("is no checkpoint, or no longer there", retries=PATIENT)


async def test_a_run_without_findings_says_nothing(user: User, state: WindowState, jobs: dict[str, Job]) -> None:
    await opened(user, state, jobs["support-qwen-r8"])
    await user.should_see("loaded and answered", retries=PATIENT)  # its folder has been read
    assert findings_of(jobs["support-qwen-r8"]) == []
    await user.should_not_see("What it means")
