"""Jobs that move or rewrite a model: guessed by their bytes, then as such jobs took here; and how many those are."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from desktop_app.domain.job import Job, JobState
from desktop_app.domain.spec import AnySpec, parse_spec
from desktop_app.errors import AppError
from desktop_app.job_folder import create_job_folder
from desktop_app.memory_plan.work_duration import work_duration
from desktop_app.memory_plan.work_size import work_bytes
from desktop_app.paths import jobs_dir
from tests.fakes.model_files import write_llama

_GIGA = 1_000_000_000


def _spec(kind: str = "quantize", **more: Any) -> AnySpec:
    return parse_spec({"kind": kind, "model": "/m", **more})


def _done(spec: AnySpec, seconds: float, size: int = _GIGA) -> Job:
    return Job(
        id="j", kind=spec.kind, name="j", state=JobState.SUCCEEDED, method="", model="/m", data="", created=0,
        spec=spec.model_dump(mode="json"), summary={"seconds": seconds, "work_bytes": size},
    )  # fmt: skip


def test_a_guess_grows_with_the_bytes_and_with_the_copies() -> None:
    small, large = work_duration(_spec(), _GIGA), work_duration(_spec(), 10 * _GIGA)
    two = work_duration(_spec(further_methods=("gguf_q4_k_m",)), _GIGA)
    assert small is not None and large is not None and two is not None
    assert small.source == "guess" and "guess" in small.words and small.least_s < small.seconds < small.most_s
    assert large.seconds > 5 * small.seconds and two.seconds > 2 * small.seconds
    assert small.estimate.work_bytes == _GIGA and small.estimate.tokens_per_s is None


def test_what_such_jobs_took_here_takes_the_place_of_the_guess_and_narrows_it() -> None:
    guess = work_duration(_spec(), _GIGA)
    assert guess is not None
    same = work_duration(_spec(), _GIGA, [_done(_spec(), 4 * guess.seconds), _done(_spec(), 5 * guess.seconds)])
    assert same is not None and same.source == "history"
    assert same.seconds == pytest.approx(4.5 * guess.seconds)
    assert same.most_s / same.least_s < guess.most_s / guess.least_s
    once = work_duration(_spec(), _GIGA, [_done(_spec(), 4 * guess.seconds)])
    assert once is not None and once.most_s / once.least_s > same.most_s / same.least_s, "one run does not tell"
    other = work_duration(_spec(), _GIGA, [_done(_spec(method="gguf_q8_0"), 80.0)])
    assert other is not None and other.source == "similar" and "ran here" in other.words


def test_jobs_that_tell_nothing_are_no_history() -> None:
    spec = _spec("bring_in")
    jobs = [
        replace(_done(spec, 900.0), state=JobState.FAILED),
        replace(_done(spec, 900.0), summary={"seconds": 900.0}),  # it went on where an earlier attempt ended
        _done(_spec("convert"), 900.0),
    ]
    found = work_duration(spec, _GIGA, jobs)
    assert found is not None and found.source == "guess"
    assert work_duration(spec, 0) is None
    assert work_duration(_spec("finetune", data="/d"), _GIGA) is None


def test_an_evaluation_takes_longer_the_more_is_read_asked_and_compared() -> None:
    plain = work_duration(_spec("evaluate"), _GIGA)
    assert plain is not None and plain.source == "guess"
    more: list[dict[str, object]] = [{"data": "/d", "max_tokens": 100_000, "max_rows": 1_000}, {"max_new_tokens": 512}]
    for change in more:
        longer = work_duration(_spec("evaluate", **change), _GIGA)
        assert longer is not None and longer.seconds > 2 * plain.seconds, change
    on_gpu = work_duration(_spec("evaluate", data="/d"), 20 * _GIGA, is_gpu=True)
    on_cpu = work_duration(_spec("evaluate", data="/d"), 20 * _GIGA)
    assert on_gpu is not None and on_cpu is not None and on_gpu.seconds < on_cpu.seconds / 10
    before = [_done(_spec("evaluate"), 3 * plain.seconds)]
    two = work_duration(_spec("evaluate", variants=("/n",)), 2 * _GIGA, before)
    assert two is not None and two.source == "history" and two.seconds > 3 * plain.seconds


@pytest.mark.usefixtures("data_dir")
def test_the_bytes_are_those_of_what_is_read_or_packed(tmp_path: Path) -> None:
    model = write_llama(tmp_path / "model")
    whole = sum(file.stat().st_size for file in model.iterdir())
    for kind in ("quantize", "bring_in", "export"):
        assert work_bytes(_spec(kind, model=str(model))) == whole
    assert work_bytes(_spec("evaluate", model=str(model), variants=("/a", "/b"))) == 3 * whole, "each as the original"
    assert work_bytes(parse_spec({"kind": "download", "repo": "owner/name"})) == 0
    (tmp_path / "rows.jsonl").write_text(json.dumps({"text": "a" * 1000}))
    run = create_job_folder(
        jobs_dir(), "a", parse_spec({"kind": "finetune", "model": str(model), "data": str(tmp_path / "rows.jsonl")})
    )
    (run.checkpoints_dir / "step-1").mkdir(parents=True)
    (run.checkpoints_dir / "step-1" / "state").write_bytes(b"x" * 5000)
    bundle = {"kind": "bundle", "model": str(model), "job": "a"}
    assert work_bytes(parse_spec(bundle | {"parts": ["model"]})) == whole
    assert work_bytes(parse_spec(bundle | {"parts": ["checkpoint"]})) == 5000
    assert work_bytes(parse_spec(bundle)) == whole + 5000 + (tmp_path / "rows.jsonl").stat().st_size
    with pytest.raises(AppError, match="there is no job"):
        work_bytes(parse_spec(bundle | {"job": "../a"}))
    with pytest.raises(AppError, match="cannot be read"):
        work_bytes(parse_spec({"kind": "bundle", "model": str(tmp_path / "none"), "parts": ["model"]}))
    with pytest.raises(AppError, match="is no bundle"):
        work_bytes(parse_spec({"kind": "open_bundle", "bundle": str(tmp_path)}))
