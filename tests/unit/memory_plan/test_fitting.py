"""Fit it for me: what is proposed fits, is as little as possible, and keeps what one step learns from."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from desktop_app.domain.finetune_spec import FinetuneSpec
from desktop_app.domain.machine import MachineSample
from desktop_app.domain.model_facts import ModelFacts, ModelShape
from desktop_app.domain.quantized_size import linear_layers
from desktop_app.memory_plan import dense_parameters, memory_plan
from desktop_app.memory_plan.fitting import fitted

SHAPE = ModelShape(
    hidden_size=2048, intermediate_size=8192, layers=16, heads=32, kv_heads=8, head_dim=64, vocab_size=128256,
    tied_embeddings=True,
)  # fmt: skip
SHAPE = SHAPE.model_copy(update={"matrices": linear_layers(SHAPE)})
FACTS = ModelFacts(path="/m", name="m", model_type="llama", parameters=dense_parameters(SHAPE), shape=SHAPE)
SPEC = FinetuneSpec(model="/m", data="/d", batch_size=8, gradient_accumulation=2, device="cpu")


def _sample(free: int) -> MachineSample:
    return MachineSample(time=0, cpu=0, memory_total=free, memory_used=0)


def test_what_fits_is_left_as_it_is() -> None:
    assert fitted(SPEC, FACTS, _sample(2**45)) is None


def test_what_nothing_makes_fit_has_no_proposal() -> None:
    assert fitted(SPEC, FACTS, _sample(2**28)) is None


def test_a_smaller_batch_comes_first_and_a_step_still_learns_from_as_many_rows() -> None:
    needed = memory_plan(SPEC, FACTS, _sample(2**45)).needed_bytes
    found = fitted(SPEC, FACTS, _sample(needed))  # tight: a little less is enough
    assert found is not None
    assert set(found.changes) == {"batch_size", "gradient_accumulation"}
    assert found.changes["batch_size"] * found.changes["gradient_accumulation"] == SPEC.effective_batch
    assert found.lines(SPEC)[0] == ("batch_size", 8, 4)


def test_changes_that_turn_out_needless_are_taken_back() -> None:
    whole = SPEC.model_copy(update={"batch_size": 1, "gradient_accumulation": 16, "activation_checkpointing": True})
    weights = FACTS.parameters * 4
    found = fitted(whole, FACTS, _sample(int(weights * 0.9)))
    assert found is not None and found.changes["method"] == "qlora"
    assert "max_length" not in found.changes, "QLoRA alone is enough, so the examples keep their length"
    assert "optimizer" not in found.changes


@pytest.mark.parametrize("objective", ["sft", "kto", "dpo"])
@settings(deadline=None, max_examples=40)
@given(
    free=st.integers(2**29, 2**37),
    batch=st.sampled_from([2, 3, 8]),
    length=st.sampled_from([200, 1024, 8192]),
    method=st.sampled_from(["lora", "full", "dora"]),
)
def test_a_proposal_always_fits_and_is_a_valid_spec(
    objective: str, free: int, batch: int, length: int, method: str
) -> None:
    changes = {"batch_size": batch, "max_length": length, "objective": objective, "method": method}
    spec = FinetuneSpec.model_validate({**SPEC.model_dump(), **changes})
    found = fitted(spec, FACTS, _sample(free))
    if found is not None:
        changed = FinetuneSpec.model_validate({**spec.model_dump(), **found.changes})
        assert memory_plan(changed, FACTS, _sample(free)).verdict == "fits"
        assert changed.effective_batch == spec.effective_batch
