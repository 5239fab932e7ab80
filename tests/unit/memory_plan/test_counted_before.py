"""Trainings on data that an earlier one went through have its rows and tokens, however they are batched."""

from dataclasses import replace
from typing import Any

import pytest

from desktop_app.domain.finetune_spec import FinetuneSpec
from desktop_app.domain.job import Job, JobState
from desktop_app.memory_plan.counted_before import row_tokens_before, steps_before

_SPEC = FinetuneSpec(model="/m", data="/d", epochs=2, batch_size=2, gradient_accumulation=2)
# 200 rows of 30 tokens, gone through twice by 4 rows a step.
_BEFORE = Job(
    id="j", kind="finetune", name="j", state=JobState.SUCCEEDED, method="lora", model="/m", data="/d", created=0,
    spec=_SPEC.model_dump(mode="json"), summary={"steps": 100, "planned_steps": 100, "tokens": 100 * 4 * 30},
)  # fmt: skip


def _spec(**changes: Any) -> FinetuneSpec:
    return _SPEC.model_copy(update=changes)


def test_other_batches_and_epochs_over_the_same_rows() -> None:
    assert steps_before(_SPEC, [_BEFORE]) == 100
    assert steps_before(_spec(epochs=4, batch_size=8), [_BEFORE]) == 50
    assert steps_before(_spec(max_steps=10), []) == 10
    assert row_tokens_before(_spec(batch_size=8, learning_rate=1e-3, rank=4), [_BEFORE]) == pytest.approx(30)


def test_what_reads_other_rows_or_tokens_tells_nothing() -> None:
    assert steps_before(_spec(data="/other"), [_BEFORE]) is None
    assert row_tokens_before(_spec(max_length=64), [_BEFORE]) is None
    assert row_tokens_before(_spec(model="/other"), [_BEFORE]) is None
    assert row_tokens_before(_SPEC, [replace(_BEFORE, summary={})]) is None
    ended_early = replace(_BEFORE, spec=_spec(max_steps=100).model_dump(mode="json"))
    assert steps_before(_SPEC, [ended_early]) is None, "its steps are not those of the rows"
