"""An estimate stands beside what was done, never beside what was left out."""

from desktop_app.domain.estimate import Estimate
from desktop_app.workers.as_estimated import as_estimated

_TOLD = Estimate(seconds=100.0, least_s=90.0, most_s=110.0, tokens_per_s=50.0, source="history")
_RATE = Estimate(tokens_per_s=50.0, source="guess")
_MOVED = Estimate(seconds=8.0, least_s=4.0, most_s=16.0, work_bytes=1000, source="guess")


def test_a_training_is_compared_with_its_share_of_the_steps() -> None:
    whole = {"steps": 200, "planned_steps": 200, "seconds": 90.0, "tokens_per_s": 40.0}
    assert as_estimated(_TOLD, whole, False) == {
        "planned_seconds": 100.0, "planned_tokens_per_s": 50.0, "planned_by": "history",
    }  # fmt: skip
    assert as_estimated(_TOLD, whole | {"steps": 50}, False)["planned_seconds"] == 25.0
    assert as_estimated(_TOLD, whole | {"first_step": 150}, True)["planned_seconds"] == 25.0


def test_where_nobody_had_counted_the_tokens_those_that_were_read_count() -> None:
    assert as_estimated(_RATE, {"steps": 3, "seconds": 10.0, "tokens_per_s": 25.0}, False)["planned_seconds"] == 5.0
    assert "planned_seconds" not in as_estimated(_RATE, {"steps": 0}, False), "a checkpoint was taken, nothing read"


def test_a_job_that_went_on_is_compared_with_nothing() -> None:
    assert as_estimated(_MOVED, {"seconds": 2.0}, False) == {
        "planned_seconds": 8.0, "planned_by": "guess", "work_bytes": 1000,
    }  # fmt: skip
    assert as_estimated(_MOVED, {"seconds": 2.0}, True) == {}
    assert as_estimated(None, {"seconds": 2.0}, False) == {}
