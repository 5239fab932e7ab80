"""The Jobs tab over real job folders and a real index: what it shows and what its buttons do."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from nicegui import ui
from nicegui.testing import User

from desktop_app import paths
from desktop_app.domain.job import Job, JobState
from desktop_app.job_folder import JobFolder, Request
from desktop_app.os_lock import OsLock
from desktop_app.ui.tabs import jobs_tab
from desktop_app.ui.window_state import WindowState
from tests.fakes.example_history import fill
from tests.ui.patience import PATIENT, until


@pytest.fixture
def jobs(state: WindowState, data_dir: Path) -> Iterator[dict[str, Job]]:
    """Fill index and folders with jobs in every state; no supervisor takes them up while the test looks."""
    fill(data_dir, paths.jobs_dir(), state.index, time.time())
    state.tab = "jobs"
    ui.page("/")(lambda: jobs_tab.draw(state))
    with OsLock(paths.supervisor_lock()) as lock:
        assert lock.acquire()
        yield {job.name: job for job in state.index.jobs()}


def table(user: User) -> ui.table:
    return next(iter(user.find(ui.table).elements))


def names(user: User) -> list[str]:
    return [row["name"] for row in table(user).rows]


async def opened(user: User, state: WindowState, job: Job | None = None) -> None:
    state.job_id = job.id if job is not None else ""
    await state.look_at_jobs()
    await user.open("/")


async def test_the_table_shows_the_queue_in_its_order(user: User, state: WindowState, jobs: dict[str, Job]) -> None:
    await opened(user, state)
    rows = table(user).rows
    assert [row["state"] for row in rows[:3]] == ["running", "queued", "queued"]
    assert rows[0]["name"] == "support-qwen-1.5b"
    assert rows[0]["method"] == "QLoRA"
    assert rows[0]["progress"] == "62 %"
    assert rows[0]["left"] == "18 min"
    assert jobs["demo"].id not in [row["id"] for row in rows]  # ended long ago: that is history
    await user.should_see("1 at work, 2 waiting")


async def test_search_and_sorting(user: User, state: WindowState, jobs: dict[str, Job]) -> None:
    await opened(user, state)
    user.find(ui.table).trigger("request", {"pagination": {"sortBy": "name", "descending": False}})
    assert names(user) == sorted(names(user), key=str.lower)
    user.find(ui.input).elements.copy().pop().set_value("german")
    assert names(user) == ["letters-german-v3"]
    user.find(ui.input).elements.copy().pop().set_value("no such job")
    await user.should_see("No job fits the filter.")


async def test_the_running_job_is_shown_with_its_figures(user: User, state: WindowState, jobs: dict[str, Job]) -> None:
    await opened(user, state)
    await user.should_see("of 903", retries=PATIENT)
    for text in ("62 %", "18 min left", "Evaluation loss", "Learning rate", "tokens/s", "Last checkpoint"):
        await user.should_see(text)
    await user.should_see(marker="curve")
    await user.should_see("3 rows cannot be read and are left out (lines 118, 902, 1440).")
    for name in ("Pause", "Stop and save", "Cancel"):
        await user.should_see(kind=ui.button, content=name)
    await user.should_not_see(kind=ui.button, content="Run again")


async def test_nothing_of_the_job_before_stands_under_the_name_of_the_chosen_one(
    user: User, state: WindowState, jobs: dict[str, Job]
) -> None:
    await opened(user, state)
    await user.should_see("of 903", retries=PATIENT)
    user.find(ui.table).trigger("rowClick", [None, {"id": jobs["letters-german-v3"].id}, None])
    for kind, content in ((ui.button, "Pause"), (ui.label, "of 903")):
        with pytest.raises(AssertionError):
            user.find(kind=kind, content=content)
    await user.should_see(kind=ui.button, content="Remove from queue", retries=PATIENT)


async def test_pause_leaves_a_request(user: User, state: WindowState, jobs: dict[str, Job]) -> None:
    await opened(user, state)
    await user.should_see(kind=ui.button, content="Pause", retries=PATIENT)
    folder = JobFolder(paths.jobs_dir() / jobs["support-qwen-1.5b"].id)
    user.find(kind=ui.button, content="Pause").click()
    await until(lambda: folder.is_asked(Request.PAUSE))


async def test_cancel_asks_first(user: User, state: WindowState, jobs: dict[str, Job]) -> None:
    await opened(user, state)
    await user.should_see(kind=ui.button, content="Cancel", retries=PATIENT)
    folder = JobFolder(paths.jobs_dir() / jobs["support-qwen-1.5b"].id)
    user.find(kind=ui.button, content="Cancel").click()
    await user.should_see("Cancel support-qwen-1.5b?", retries=PATIENT)
    user.find(kind=ui.button, content="Keep it").click()
    await user.should_not_see("Cancel support-qwen-1.5b?", retries=PATIENT)
    assert not folder.is_asked(Request.CANCEL)
    user.find(kind=ui.button, content="Cancel").click()
    await user.should_see("Cancel the job", retries=PATIENT)
    user.find(kind=ui.button, content="Cancel the job").click()
    await until(lambda: folder.is_asked(Request.CANCEL))


async def test_a_queued_job_can_be_removed(user: User, state: WindowState, jobs: dict[str, Job]) -> None:
    job = jobs["letters-german-v3"]
    await opened(user, state, job)
    await user.should_see(kind=ui.button, content="Remove from queue", retries=PATIENT)
    user.find(kind=ui.button, content="Remove from queue").click()
    await until(lambda: JobFolder(paths.jobs_dir() / job.id).is_asked(Request.CANCEL))


async def test_a_failed_job_says_why_and_what_to_do(user: User, state: WindowState, jobs: dict[str, Job]) -> None:
    job = jobs["gsm8k-smollm-lr3"]
    await opened(user, state, job)
    await user.should_see("The loss became not a number at step 41.", retries=PATIENT)
    await user.should_see(job.hint)
    await user.should_see(kind=ui.button, content="Copy report")
    await user.should_not_see(kind=ui.button, content="Resume from checkpoint")  # it had none yet


async def test_without_a_step_an_ended_job_has_no_empty_chart(
    user: User, state: WindowState, jobs: dict[str, Job]
) -> None:
    job = jobs["gsm8k-smollm-lr3"]
    await opened(user, state, job)
    await user.should_see(marker="curve", retries=PATIENT)
    events = paths.jobs_dir() / job.id / "events.jsonl"
    lines = [line for line in events.read_text().splitlines(keepends=True) if json.loads(line)["kind"] != "metric"]
    events.write_text("".join(lines))
    await opened(user, state, job)
    await user.should_see(job.hint, retries=PATIENT)
    await user.should_not_see(marker="curve", retries=PATIENT)


async def test_an_interrupted_job_goes_on_from_its_checkpoint(
    user: User, state: WindowState, jobs: dict[str, Job]
) -> None:
    job = jobs["gsm8k-llama-1b"]
    folder = JobFolder(paths.jobs_dir() / job.id)
    await opened(user, state, job)
    await user.should_see(kind=ui.button, content="Resume from checkpoint", retries=PATIENT)
    assert folder.has_outcome
    user.find(kind=ui.button, content="Resume from checkpoint").click()
    await until(lambda: not folder.has_outcome)


async def test_a_finished_job_shows_result_and_checks(user: User, state: WindowState, jobs: dict[str, Job]) -> None:
    job = jobs["support-qwen-r16"]
    await opened(user, state, job)
    await user.should_see(job.result, retries=PATIENT)
    for text in (
        "3 files, hashes agree",
        "loaded and answered",
        "Adapter",
        "74 MB",
        "Reveal",
        "During the run, 46 min",
    ):
        await user.should_see(text)
    await user.should_not_see(kind=ui.button, content="Pause")


async def test_run_again_fills_the_form_with_the_same_settings(
    user: User, state: WindowState, jobs: dict[str, Job]
) -> None:
    job = jobs["support-qwen-r16"]
    await opened(user, state, job)
    await user.should_see(kind=ui.button, content="Run again", retries=PATIENT)
    user.find(kind=ui.button, content="Run again").click()
    await until(lambda: state.prefill is not None)
    assert state.prefill is not None
    assert state.prefill.model_dump(mode="json") == job.spec
    assert state.tab == "finetune"


async def test_run_again_of_settings_from_another_version_is_refused_in_words(
    user: User, state: WindowState, jobs: dict[str, Job]
) -> None:
    job = jobs["support-qwen-r16"]
    job.spec["rnk"] = 8
    state.index.put(job)
    await opened(user, state, job)
    await user.should_see(kind=ui.button, content="Run again", retries=PATIENT)
    user.find(kind=ui.button, content="Run again").click()
    await user.should_see("rnk: a finetune spec has no such field.", retries=PATIENT)


async def test_a_page_drawn_anew_shows_the_same(user: User, state: WindowState, jobs: dict[str, Job]) -> None:
    await opened(user, state)
    await user.should_see("of 903", retries=PATIENT)
    before = names(user)
    await user.open("/")
    await user.should_see("of 903", retries=PATIENT)
    assert names(user) == before


async def test_what_ends_while_it_is_shown_stays_with_its_result(
    user: User, state: WindowState, jobs: dict[str, Job]
) -> None:
    await opened(user, state)
    await user.should_see("18 min left", retries=PATIENT)
    running = jobs["support-qwen-1.5b"]
    done = {"state": JobState.FAILED, "ended": time.time(), "message": "The disk is full.", "hint": "Free some space."}
    state.job_id = running.id
    state.index.put(Job(**{**{name: getattr(running, name) for name in Job.__slots__}, **done}))
    await state.look_at_jobs()
    await user.should_see("The disk is full.", retries=PATIENT)
    await user.should_see("Free some space.")


async def test_without_jobs_it_says_how_to_begin(user: User, state: WindowState) -> None:
    state.tab = "jobs"
    ui.page("/")(lambda: jobs_tab.draw(state))
    await state.look_at_machine()
    await opened(user, state)
    await user.should_see("Nothing is running")
    await user.should_see("CPU", retries=PATIENT)  # the machine is watched without a job, too
    user.find(kind=ui.button, content="Quantize a model").click()
    assert state.tab == "quantize"


async def test_another_curve_is_chosen_and_what_is_in_use_is_said(
    user: User, state: WindowState, jobs: dict[str, Job]
) -> None:
    await opened(user, state)
    await user.should_see("In use: NVIDIA GeForce RTX 4070", retries=PATIENT)
    choice = next(iter(user.find(marker="curve").elements))
    assert isinstance(choice, ui.select)
    await until(lambda: "grad_norm" in choice.options)
    choice.set_value("grad_norm")
    charts = [chart for chart in user.find(ui.echart).elements if len(chart.options["series"]) == 3]
    await until(
        lambda: any(0 < max(y for _, y in chart.options["series"][0]["data"] or [(0, 9)]) < 1.5 for chart in charts)
    )
    await user.should_not_see(kind=ui.label, marker="legend-Evaluation")
