"""Several jobs out of one: every combination, each valid, named apart, and none that cannot be."""

import pytest

from desktop_app.domain.finetune_spec import FinetuneSpec
from desktop_app.domain.quantize_spec import QuantizeSpec
from desktop_app.domain.variants import variants
from desktop_app.errors import SpecError

SPEC = FinetuneSpec(model="/m/tiny", data="/d.jsonl", epochs=2, output="/results/tiny")


def test_two_fields_make_a_grid_whose_runs_have_names_of_their_own() -> None:
    made = variants(SPEC, {"learning_rate": [1e-4, 2e-4], "rank": [8, 16, 8]})
    assert [(run.learning_rate, run.rank) for run in made] == [(1e-4, 8), (1e-4, 16), (2e-4, 8), (2e-4, 16)]  # type: ignore[union-attr]
    assert made[1].name == "rate 0.0001, rank 16 · tiny-lora"
    assert len({run.name for run in made}) == 4
    assert {run.output for run in made} == {None}, "or the second would find the first's folder"
    assert all(
        run.model_copy(update={"learning_rate": 2e-4, "rank": 16, "name": "", "output": SPEC.output}) == SPEC
        for run in made
    )


def test_one_value_is_a_copy_with_one_field_changed() -> None:
    (made,) = variants(QuantizeSpec(model="/m/tiny", method="nf4", name="mine"), {"method": ["int8"]})
    assert (made.kind, made.name) == ("quantize", "method int8 · mine")


@pytest.mark.parametrize("choices", [{}, {"rank": []}, {"rank": range(1, 200)}])
def test_no_value_and_too_many_are_refused(choices: dict[str, list[int]]) -> None:
    with pytest.raises(SpecError):
        variants(SPEC, choices)


def test_a_combination_that_cannot_be_is_told() -> None:
    with pytest.raises(SpecError, match="keep_best"):
        variants(SPEC, {"keep_best": [True]})
