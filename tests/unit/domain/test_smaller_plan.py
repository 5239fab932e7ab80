"""A plan becomes smaller in a stated order, and the effective batch stays what it was."""

from desktop_app.domain.finetune_spec import FinetuneSpec
from desktop_app.domain.smaller_plan import SmallerPlan, smaller_plan


def spec(**fields: object) -> FinetuneSpec:
    return FinetuneSpec.model_validate({"model": "m", "data": "d", **fields})


def all_plans(start: FinetuneSpec) -> list[SmallerPlan]:
    plans: list[SmallerPlan] = []
    now = start
    while (plan := smaller_plan(now, plans[-1] if plans else None)) is not None:
        plans.append(plan)
        now = start.model_copy(update=plan.changes)
        assert now.effective_batch == start.effective_batch
    return plans


def test_batch_then_activations_then_length_then_optimizer() -> None:
    plans = all_plans(spec(batch_size=4, gradient_accumulation=2, max_length=200))
    assert [plan.changes for plan in plans] == [
        {"batch_size": 2, "gradient_accumulation": 4},
        {"batch_size": 1, "gradient_accumulation": 8},
        {"batch_size": 1, "gradient_accumulation": 8, "activation_checkpointing": True},
        {"batch_size": 1, "gradient_accumulation": 8, "activation_checkpointing": True, "max_length": 100},
        {"batch_size": 1, "gradient_accumulation": 8, "activation_checkpointing": True, "max_length": 64},
        plans[-2].changes | {"optimizer": "adamw_8bit"},
    ]
    assert "no longer comparable" in plans[3].notes[-1]
    assert "empty memory" in plans[-1].notes[-1]


def test_a_batch_that_cannot_be_halved_is_divided_as_far_as_it_goes() -> None:
    plan = smaller_plan(spec(batch_size=7, gradient_accumulation=1))
    assert plan is not None
    assert plan.changes == {"batch_size": 1, "gradient_accumulation": 7}


def test_kto_keeps_two_answers_to_compare() -> None:
    plans = all_plans(spec(objective="kto", batch_size=4, gradient_accumulation=1))
    assert min(plan.changes.get("batch_size", 4) for plan in plans) == 2
