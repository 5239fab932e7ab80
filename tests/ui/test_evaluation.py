"""An evaluation is asked for from the window, and its report is drawn there."""

from pathlib import Path

import pytest
from nicegui import app, ui
from nicegui.testing import User

from desktop_app.domain.evaluate_spec import EvaluateSpec
from desktop_app.domain.job import JobState
from desktop_app.domain.spec import parse_spec_text
from desktop_app.job_folder import JobFolder
from desktop_app.paths import jobs_dir
from desktop_app.ui.evaluation_view import draw_evaluation
from desktop_app.ui.window_state import WindowState
from tests.fakes.evaluation_report import example_report, write_report
from tests.fakes.index_row import job
from tests.fakes.model_files import write_adapter
from tests.ui.patience import until
from tests.ui.tab_bench import FAKE_WORKER, choose, make_chats, make_model, open_tab, sees


async def test_an_adapter_is_measured_against_its_base_on_a_file(
    user: User, state: WindowState, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WHETSTONE_FAKE_WORKER", str(FAKE_WORKER))
    model = make_model(tmp_path / "models" / "lamb")
    adapter = write_adapter(tmp_path / "models" / "adapter", model)
    questions = make_chats(tmp_path / "questions.jsonl")
    state.models.add([model, str(adapter)])
    await state.models.read_missing()
    await state.look_at_machine()
    state.choose_model(str(adapter))
    await open_tab(user, state, "models")
    await user.should_see(marker="evaluate-model", retries=50)
    user.find(marker="evaluate-model").click()
    await sees(user, "Each model is loaded in turn")
    await sees(user, "Takes about")
    choose(user, "evaluate-text", "file")
    choose(user, "evaluate-scoring", "regex")
    user.find(marker="start-evaluation").click()
    await sees(user, "No file is named.")
    choose(user, "evaluate-file", questions)
    user.find(marker="start-evaluation").click()
    await sees(user, "scoring by a pattern needs one")
    choose(user, "evaluate-scoring", "exact")
    user.find(marker="start-evaluation").click()
    await until(lambda: list(jobs_dir().glob("*/spec.json")))
    spec = parse_spec_text(next(jobs_dir().glob("*/spec.json")).read_bytes())
    assert spec == EvaluateSpec(model=model, variants=(str(adapter),), data=questions, scoring="exact")
    estimate = JobFolder(next(jobs_dir().glob("*/spec.json")).parent).read_estimate()
    assert estimate is not None and estimate.source == "guess", "what the dialog said is kept with the job"
    assert state.tab == "jobs"


async def test_a_report_is_drawn_with_what_earlier_ones_say(user: User, tmp_path: Path) -> None:
    report = example_report("/m")
    copies = report.model_copy(update={"models": (*report.models[:2], report.models[-1])})
    rest = report.model_copy(update={"models": report.models[:-1]})
    jobs = [
        job(
            number,
            JobState.SUCCEEDED,
            kind="evaluate",
            spec=report.spec.model_dump(mode="json"),
            result=str(write_report(tmp_path / str(number), content)),
        )
        for number, content in enumerate((rest, copies))
    ]

    @ui.page("/")
    async def page() -> None:
        await draw_evaluation(jobs[0], jobs)

    await user.open("/")
    await sees(user, "Take Q4_K_M: with 1.12 GB")
    await sees(user, "knows this text better than the original")
    await sees(user, "Size against divergence")
    await sees(user, "How do I cancel my subscription?")
    await sees(user, "In the file: In Settings, under Account.")
    chart = next(iter(user.find(ui.echart).elements))
    named = [point["name"] for point in chart.options["series"][1]["data"]]
    assert named == ["Q8_0", "Q5_K_M", "Q4_K_M", "NF4 (earlier)"]
    rows = next(iter(user.find(marker="figures").elements)).rows
    assert rows[0]["mean_kl"] == {"text": "–", "note": ""}
    assert rows[3]["mean_kl"] == {"text": "0.011", "note": "0.0088 – 0.013"}


async def test_a_report_that_is_gone_is_told(user: User, tmp_path: Path) -> None:
    gone = job(1, JobState.SUCCEEDED, kind="evaluate", result=str(tmp_path / "nothing"))

    @ui.page("/")
    async def page() -> None:
        await draw_evaluation(gone, [gone])

    await user.open("/")
    await sees(user, "Run the evaluation again.")


async def test_the_native_window_asks_where_a_report_goes(
    user: User, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It downloads nothing by itself."""
    monkeypatch.setattr(app.native, "main_window", object())
    result = write_report(tmp_path / "1", example_report("/m"))
    done = job(1, JobState.SUCCEEDED, kind="evaluate", result=str(result))

    @ui.page("/")
    async def page() -> None:
        await draw_evaluation(done, [done])

    await user.open("/")
    await sees(user, "JSON")
    user.find("JSON").click()
    await user.should_see(marker="save-path")
    user.find(marker="save-path").clear().type(str(tmp_path / "kept.json"))
    user.find(marker="save-text").click()
    await until((tmp_path / "kept.json").is_file)
    assert (tmp_path / "kept.json").read_bytes() == (tmp_path / "1" / "report.json").read_bytes()
