"""What the figures of a run say in words: each rule with figures that set it off and figures that do not."""

from collections.abc import Sequence
from typing import Any

import pytest

from desktop_app.domain.event import Metric
from desktop_app.domain.finetune_spec import FinetuneSpec
from desktop_app.domain.run_findings import RunFinding, run_findings
from desktop_app.domain.run_record import RunRecord

SPEC = FinetuneSpec(model="/m", data="/d", warmup_ratio=0)


def record(**curves: Sequence[float | tuple[int, float]]) -> RunRecord:
    """A run with these curves; values without a step stand at steps 1, 2, 3 …"""
    made = RunRecord()
    for name, values in curves.items():
        points = [value if isinstance(value, tuple) else (step, value) for step, value in enumerate(values, 1)]
        made.add(Metric(seq=0, time=0, step=step, values={name: value}) for step, value in points)
    return made


def found(run: RunRecord | None = None, spec: FinetuneSpec = SPEC, **more: Any) -> dict[str, RunFinding]:
    summary, kept, problem = more.get("summary", {}), more.get("kept_steps", ()), more.get("problem", "")
    return {each.code: each for each in run_findings(spec, run or RunRecord(), summary, kept, problem)}


ROSE = record(eval_loss=[(0, 3.0), (100, 2.0), (200, 1.5), (300, 1.4), (400, 1.6)])


def test_a_held_out_loss_that_rose_offers_the_checkpoint_where_it_was_lowest() -> None:
    finding = found(ROSE, kept_steps=(300, 400))["rose"]
    assert "rose after step 300" in finding.message
    assert "1.400 at step 300, 1.600 at step 400" in finding.evidence
    assert (finding.fix.label, finding.fix.step) == ("Use that checkpoint", 300)


def test_only_rows_that_are_told_better_and_better_were_learned_by_heart() -> None:
    measured = [(0, 3.0), (20, 1.4), (40, 1.6)]
    falls = found(record(eval_loss=measured, loss=[3.0] * 10 + [2.0] * 10 + [1.0] * 20))["rose"]
    assert falls.message.endswith("it learned the rows by heart.")
    rises = found(record(eval_loss=measured, loss=[3.0] * 10 + [2.0] * 10 + [2.1] * 20))["rose"]
    assert "by heart" not in rises.message and "did not fall either" in rises.message


def test_without_that_checkpoint_a_run_that_keeps_the_best_is_offered() -> None:
    fix = found(ROSE, kept_steps=(400,))["rose"].fix
    assert (fix.step, fix.changes) == (None, {"keep_best": True, "eval_steps": 40})
    assert FinetuneSpec.model_validate({**SPEC.model_dump(), **fix.changes}).keep_best


def test_nothing_is_said_where_the_best_checkpoint_is_the_result_or_the_loss_kept_falling() -> None:
    assert "rose" not in found(ROSE, summary={"result_step": 300})
    assert "rose" not in found(record(eval_loss=[(0, 3.0), (100, 2.0), (200, 1.5), (300, 1.52)]))


def test_a_gradient_that_tripled_while_the_loss_rose_means_a_rate_too_high() -> None:
    norms = [1.0] * 20 + [4.0] * 20
    finding = found(record(grad_norm=norms, loss=[2.0] * 20 + [3.0] * 20))["rate"]
    assert "0.0002 was too high" in finding.message
    assert "from 1 to 4" in finding.evidence
    assert finding.fix.changes == {"learning_rate": pytest.approx(7e-5)}
    assert "rate" not in found(record(grad_norm=norms, loss=[2.0] * 20 + [1.0] * 20)), "it learned all the same"
    assert "rate" not in found(record(grad_norm=[1.0] * 19 + [9.0] + [1.0] * 20, loss=[2.0] * 40)), "one batch"


def test_a_loss_in_training_that_rose_and_stayed_up_means_a_rate_too_high_too() -> None:
    """What the demo did at rate 0.01 and alpha 32, a row a step: the gradient faded while the loss rose."""
    wave = [(-1) ** step * 0.3 for step in range(48)]
    norms = [8.0] * 24 + [2.0] * 24
    finding = found(
        record(grad_norm=norms, loss=[4.2 + each for each in wave[:24]] + [5.0 + each for each in wave[24:]])
    )
    assert "from 4.200 to 5.000" in finding["rate"].evidence
    assert "rate" not in found(record(loss=[4.2] * 24 + [4.4] * 24)), "by less than a tenth"
    noisy = [4.2 + 9 * each for each in wave[:24]] + [5.0 + 9 * each for each in wave[24:]]
    assert "rate" not in found(record(loss=noisy)), "chance explains it"


def test_a_loss_that_is_no_number_means_a_rate_too_high() -> None:
    problem = "The loss is no longer a number at step 41 (nan); the training was stopped before that step."
    assert found(problem=problem)["rate"].evidence == problem
    assert "rate" not in found(problem="The disk is full.")


def test_rows_on_which_it_is_worse_than_the_base_are_counted() -> None:
    finding = found(summary={"worse_rows": 31, "held_out_rows": 50})["worse_rows"]
    assert finding.message == "Worse than the base on 31 of 50 held-out rows."
    assert finding.severity == "warning"
    assert finding.fix.changes == {"learning_rate": 1e-4}
    assert "worse_rows" not in found(summary={"worse_rows": 5, "held_out_rows": 50})
    assert "worse_rows" not in found(summary={"worse_rows": 2, "held_out_rows": 3}), "too few to tell"


def test_masked_tokens_are_told_as_a_share() -> None:
    finding = found(summary={"trained_share": 0.08})["masked"]
    assert finding.message.startswith("92 % of the tokens were masked")
    assert finding.fix.label == "See the tokens"
    assert "masked" not in found(summary={"trained_share": 0.4})


def test_a_loss_that_still_falls_asks_for_one_more_epoch() -> None:
    falling = record(loss=[3.0 - step / 50 for step in range(80)])
    assert found(falling, summary={"steps": 80})["falling"].fix.changes == {"epochs": 4}
    short = SPEC.model_copy(update={"max_steps": 80})
    assert found(falling, short, summary={"steps": 80})["falling"].fix.changes == {"max_steps": 106}
    noisy = record(loss=[2.0 + (-1) ** step - step / 2000 for step in range(80)])
    assert "falling" not in found(noisy, summary={"steps": 80}), "the fall is smaller than the noise"


def test_a_run_that_learned_the_rows_by_heart_is_not_told_to_go_on() -> None:
    both = record(loss=[3.0 - step / 50 for step in range(80)], eval_loss=[(0, 3.0), (20, 2.0), (50, 2.2), (80, 2.6)])
    assert set(found(both, summary={"steps": 80})) == {"rose"}


@pytest.mark.parametrize(("after", "code"), [(3.5, "worse"), (2.99, "nothing"), (2.0, "")])
def test_held_out_loss_before_and_after_is_judged(after: float, code: str) -> None:
    codes = found(summary={"eval_loss_before": 3.0, "eval_loss_after": after})
    assert set(codes) == ({code} if code else set())
    if code == "worse":
        assert codes[code].fix.changes["learning_rate"] < SPEC.learning_rate
    if code == "nothing":
        assert codes[code].fix.changes["learning_rate"] > SPEC.learning_rate


def test_what_learned_nothing_at_the_highest_rate_is_not_told_to_take_that_rate_again() -> None:
    said = {"eval_loss_before": 3.0, "eval_loss_after": 2.99}
    highest = SPEC.model_copy(update={"learning_rate": 0.01, "epochs": 2})
    assert found(spec=highest, summary=said)["nothing"].fix.changes == {"epochs": 3}
    assert "nothing" not in found(ROSE, spec=highest, summary=said), "it learned, and then unlearned it"


def test_a_held_out_loss_that_still_falls_asks_for_more_though_single_batches_jump() -> None:
    jumping = [6.0, 5.0] * 6 + [5.6, 4.7] * 3 + [5.5, 4.6] * 3
    run = record(loss=jumping, eval_loss=[(8, 5.5), (16, 5.0), (24, 4.2)])
    assert "4.200" in found(run, summary={"steps": 24})["falling"].evidence
    still = record(loss=jumping, eval_loss=[(8, 5.5), (16, 4.22), (24, 4.2)])
    assert "falling" not in found(still, summary={"steps": 24})


def test_preferences_no_better_than_a_coin_are_told() -> None:
    dpo = SPEC.model_copy(update={"objective": "dpo"})
    assert "54 %" in found(spec=dpo, summary={"eval_accuracy_after": 0.54, "held_out_rows": 50})["coin"].message
    assert not found(spec=dpo, summary={"eval_accuracy_after": 0.9, "held_out_rows": 50})


def test_one_that_became_worse_is_not_told_to_go_on_longer() -> None:
    dpo = SPEC.model_copy(update={"objective": "dpo"})
    losses = {"eval_loss_before": 0.693, "eval_loss_after": 0.739, "worse_rows": 11}
    said = found(spec=dpo, summary={"eval_accuracy_after": 0.39, "held_out_rows": 18, **losses})
    assert set(said) == {"worse", "coin"}, "the mean says what the count of rows would"
    assert not said["coin"].fix.changes, "the pairs are to be looked at"


def test_the_gravest_stands_first() -> None:
    codes = list(
        found(
            ROSE, summary={"worse_rows": 20, "held_out_rows": 50, "trained_share": 0.08}, problem="no longer a number"
        )
    )
    assert codes[0] == "rate"
    assert codes[-2:] == ["worse_rows", "masked"]
