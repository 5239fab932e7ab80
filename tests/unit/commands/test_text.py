"""How figures read in a terminal."""

import json
from dataclasses import replace

import pytest

from desktop_app.commands.text import (
    duration_text,
    figure_text,
    json_text,
    number_text,
    printable,
    progress_text,
    size_text,
    summary_lines,
)
from desktop_app.domain.job import Job, JobState


def job(**values: object) -> Job:
    plain = Job(
        id="a", kind="finetune", name="a", state=JobState.RUNNING, method="", model="", data="", spec={}, created=0.0,
        summary={},
    )  # fmt: skip
    return replace(plain, **values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00"), (7.4, "0:07"), (754, "12:34"), (11045, "3:04:05"), (-3, "0:00")]
)
def test_durations(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text


@pytest.mark.parametrize(("size", "text"), [(0, "0 bytes"), (999, "999 bytes"), (1500, "1.5 kB"), (2.5e9, "2.5 GB")])
def test_sizes(size: float, text: str) -> None:
    assert size_text(size) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(True, "yes"), (3, "3"), (1.23456, "1.235"), (12000.0, "12,000"), ("x", "x"), (float("nan"), "nan")],
)
def test_figures(value: object, text: str) -> None:
    assert number_text(value) == text


def test_figures_by_name() -> None:
    assert figure_text("peak_bytes", 515_000_000) == ("Peak memory, measured", "515.0 MB")
    assert figure_text("eval_loss_after", 1.23456) == ("Evaluation loss after", "1.235")
    assert figure_text("planned_seconds", 65.2) == ("Time, estimated", "1:05")
    assert figure_text("bytes_per_s", 4_360_849) == ("Speed", "4.4 MB/s")
    assert figure_text("ratio", 0.28) == ("Size after, of before", "28 %")
    assert figure_text("worst_bytes", None) == ("Worst", "None")
    assert summary_lines({"work_bytes": 3_600_000, "perplexity": 8.5, "advice": None}) == [("Perplexity", "8.5")]


def test_progress_says_only_what_is_known() -> None:
    assert progress_text(job()) == ""
    known = job(done=3, total=10, unit="step", loss=1.5, rate=1234.5, rate_unit="token", eta_s=65)
    assert progress_text(known) == "step 3/10  loss 1.5  1,234 token/s  1:05 left"
    assert progress_text(job(state=JobState.QUEUED, eta_s=65)) == "takes about 1:05"


def test_json_has_no_figures_that_are_none() -> None:
    value = json.loads(json_text(job(loss=float("nan"), summary={"a": [float("inf"), 1.0]})))
    assert value["loss"] is None and value["summary"] == {"a": [None, 1.0]} and value["state"] == "running"


def test_nothing_steers_the_terminal() -> None:
    assert printable("a\x1b[31mb\rc\u202ed\ne") == "a [31mb c d\ne"
