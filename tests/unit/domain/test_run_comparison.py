"""What differs between jobs, which figure is best, and when losses say nothing about each other."""

from dataclasses import replace

from desktop_app.domain.finetune_spec import FinetuneSpec
from desktop_app.domain.job import Job, JobState
from desktop_app.domain.run_comparison import (
    best_of,
    differing_ground,
    estimates_of,
    figures_of,
    settings_of,
    stopped_at,
)

SPEC = FinetuneSpec(model="/m/tiny", data="/d/a.jsonl", method="lora", name="a").model_dump(mode="json")
FIRST = Job(
    id="a", kind="finetune", name="a", state=JobState.SUCCEEDED, method="lora", model="/m/tiny", data="/d/a.jsonl",
    spec=SPEC, created=1.0, started=10.0, ended=70.0,
    summary={"final_loss": 1.5, "tokens_per_s": 900.0, "peak_bytes": 2_000, "planned_bytes": 2_200, "device": "CPU"},
)  # fmt: skip
SECOND = replace(
    FIRST, id="b", spec={**SPEC, "rank": 64, "name": "b"}, ended=130.0,
    summary={"final_loss": 1.25, "tokens_per_s": 700.0, "peak_bytes": 2_000, "device": "CPU", "steps": 8},
)  # fmt: skip


def test_settings_that_differ_are_told_and_names_are_none() -> None:
    lines = settings_of([FIRST, SECOND])
    assert {line.name: line.values for line in lines if line.differs} == {"rank": (16, 64)}
    assert len(lines) > 20


def test_a_setting_that_an_older_version_did_not_know_is_at_its_default() -> None:
    older = replace(FIRST, spec={name: value for name, value in SPEC.items() if name not in ("rank", "packing")})
    assert not [line for line in settings_of([older, FIRST]) if line.differs]


def test_a_setting_that_another_kind_does_not_have_is_missing() -> None:
    other = replace(FIRST, kind="quantize", spec={"kind": "quantize", "model": "/m/tiny", "method": "nf4"})
    values = {line.name: line.values for line in settings_of([other, FIRST])}
    assert values["kind"] == ("quantize", "finetune")
    assert values["rank"] == (None, 16)


def test_the_best_is_the_lowest_loss_and_the_highest_speed() -> None:
    lines = {line.name: line for line in figures_of([FIRST, SECOND])}
    assert lines["final_loss"].best == {1} and lines["tokens_per_s"].best == {0}
    assert "peak_bytes" not in lines and "device" not in lines and lines["steps"].values == (None, 8)
    assert next(iter(lines)) == "final_loss"


def test_best_needs_two_numbers_and_a_direction() -> None:
    assert best_of("final_loss", [None, 1.0, float("nan")]) == frozenset()
    assert best_of("final_loss", [2.0, 1.0, 1.0, None, float("nan")]) == {1, 2}
    assert best_of("steps", [1, 2]) == frozenset()
    assert best_of("eval_accuracy_after", [0.5, 0.75]) == {1}


def test_estimates_stand_beside_what_was_measured() -> None:
    found = estimates_of([FIRST, SECOND])
    lines = {line.name: line.values for line in found}
    assert {line.name: set(line.best) for line in found if line.best} == {"measured_seconds": {0}}
    assert lines["planned_bytes"] == (2_200, None) and lines["peak_bytes"] == (2_000, 2_000)
    assert "planned_seconds" not in lines and lines["measured_seconds"] == (60.0, 120.0)
    kept = replace(FIRST, summary={"planned_seconds": 20.0, "seconds": 25.0})
    lines = {line.name: line.values for line in estimates_of([kept])}
    assert (lines["planned_seconds"], lines["measured_seconds"]) == ((20.0,), (25.0,)), "of its steps, as it was kept"
    stopped = replace(kept, summary={**kept.summary, "steps": 30, "planned_steps": 1200})
    lines = {line.name: line.values for line in estimates_of([stopped, kept])}
    assert lines["stopped_at"] == ("step 30 of 1,200", None)
    cancelled = replace(FIRST, state=JobState.CANCELLED, summary={}, done=3, total=9, unit="step")
    assert stopped_at(cancelled) == "step 3 of 9" and stopped_at(replace(cancelled, unit="byte")) is None
    waiting = replace(FIRST, started=None, ended=None, summary={})
    assert estimates_of([waiting]) == []


def test_losses_on_other_data_or_of_another_model_say_nothing() -> None:
    assert differing_ground([FIRST, SECOND]) == []
    elsewhere = replace(SECOND, spec={**SPEC, "data": "/d/b.jsonl", "held_out": 0.3})
    assert differing_ground([FIRST, elsewhere]) == ["data", "held_out"]
    assert differing_ground([replace(FIRST, summary={}), replace(elsewhere, summary={})]) == []
