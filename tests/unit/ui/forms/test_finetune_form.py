"""The fine-tuning form keeps the spec's own bounds and defaults, and says what is wrong in words."""

from typing import Any

import pytest

from desktop_app.domain.data_report import DataReport
from desktop_app.domain.finetune_spec import FinetuneSpec
from desktop_app.domain.model_facts import ModelFacts
from desktop_app.errors import SpecError
from desktop_app.ui.forms.finetune_form import ADVANCED_GROUPS, SIMPLE_FIELDS, FinetuneForm, demo_spec


def filled() -> FinetuneForm:
    form = FinetuneForm()
    form.values |= {"model": "/models/tiny", "data": "/data/chats.jsonl"}
    return form


def test_an_untouched_form_is_the_spec_with_its_defaults() -> None:
    form = filled()
    assert form.errors == {}
    assert form.missing() == ""
    assert form.to_spec() == FinetuneSpec(model="/models/tiny", data="/data/chats.jsonl")
    assert not any(form.is_changed(name) for name in form.fields if name not in ("model", "data"))


def test_every_field_has_a_place_and_a_tooltip() -> None:
    placed = [*SIMPLE_FIELDS, "objective", "method", *(name for group in ADVANCED_GROUPS.values() for name in group)]
    form = FinetuneForm()
    assert sorted([*placed, *form.chosen]) == sorted(form.fields)
    assert all(field.description for field in form.fields.values())


@pytest.mark.parametrize(
    ("field", "typed", "message", "need"),
    [
        ("learning_rate", "0.2", "Above 0.01. Usual: 0.0002", "a learning rate of at most 0.01"),
        ("learning_rate", "0", "Must be above 0. Usual: 0.0002", "a learning rate above 0"),
        ("learning_rate", "-2e-4", "Must be above 0. Usual: 0.0002", "a learning rate above 0"),
        ("learning_rate", "fast", "Not a number. Usual: 0.0002", "a number for learning rate"),
        ("learning_rate", "", "Empty. Usual: 0.0002", "a number for learning rate"),
        ("epochs", "0", "Must be above 0. Usual: 3", "epochs above 0"),
        ("epochs", "1,001", "Above 1,000. Usual: 3", "epochs of at most 1,000"),
        ("max_length", "7", "Below 8. Usual: 1,024", "a max length of at least 8"),
        ("max_length", "1048577", "Above 1,048,576. Usual: 1,024", "a max length of at most 1,048,576"),
        ("max_length", "12.5", "Not a whole number. Usual: 1,024", "a whole number for max length"),
        ("rank", "0", "Below 1. Usual: 16", "a rank of at least 1"),
        ("rank", "1025", "Above 1,024. Usual: 16", "a rank of at most 1,024"),
        ("alpha", "0", "Must be above 0. Usual: 32", "an alpha above 0"),
        ("alpha", "4097", "Above 4,096. Usual: 32", "an alpha of at most 4,096"),
        ("dropout", "-0.1", "Below 0. Usual: 0.05", "a dropout of at least 0"),
        ("dropout", "1", "Must be below 1. Usual: 0.05", "a dropout below 1"),
        ("warmup_ratio", "1", "Must be below 1. Usual: 0.03", "a warm-up below 1"),
        ("warmup_ratio", "-1", "Below 0. Usual: 0.03", "a warm-up of at least 0"),
        ("weight_decay", "2", "Above 1. Usual: 0", "a weight decay of at most 1"),
        ("weight_decay", "-1", "Below 0. Usual: 0", "a weight decay of at least 0"),
        ("max_grad_norm", "0", "Must be above 0. Usual: 1", "a max gradient above 0"),
        ("max_grad_norm", "101", "Above 100. Usual: 1", "a max gradient of at most 100"),
        ("max_steps", "0", "Below 1.", "max steps of at least 1"),
        ("max_steps", "10000001", "Above 10,000,000.", "max steps of at most 10,000,000"),
        ("batch_size", "0", "Below 1. Usual: 2", "a batch size of at least 1"),
        ("batch_size", "4097", "Above 4,096. Usual: 2", "a batch size of at most 4,096"),
        ("gradient_accumulation", "0", "Below 1. Usual: 4", "an accumulation of at least 1"),
        ("gradient_accumulation", "4097", "Above 4,096. Usual: 4", "an accumulation of at most 4,096"),
        ("seed", "-1", "Below 0. Usual: 42", "a seed of at least 0"),
        ("seed", "2147483648", "Above 2,147,483,647. Usual: 42", "a seed of at most 2,147,483,647"),
        ("max_rows", "0", "Below 1.", "max rows of at least 1"),
        ("held_out", "0.6", "Above 0.5. Usual: 0.05", "a held-out share of at most 0.5"),
        ("held_out", "-0.1", "Below 0. Usual: 0.05", "a held-out share of at least 0"),
        ("threads", "0", "Below 1.", "threads of at least 1"),
        ("threads", "1025", "Above 1,024.", "threads of at most 1,024"),
        ("logging_steps", "0", "Below 1. Usual: 1", "a logging interval of at least 1"),
        ("eval_steps", "0", "Below 1.", "an evaluation interval of at least 1"),
        ("save_steps", "x", "Not a number.", "a number for checkpoint interval"),
        ("name", "n" * 81, "Longer than 80.", "a name of at most 80"),
    ],
)
def test_each_bound_is_told_with_the_usual_value(field: str, typed: str, message: str, need: str) -> None:
    form = filled()
    form.values[field] = typed
    error = form.errors[field]
    assert (error.message, error.need) == (message, need)
    assert list(form.errors) == [field]
    assert form.missing() == f"Start needs {need}."
    with pytest.raises(SpecError) as caught:
        form.to_spec()
    assert caught.value.field == field
    assert message in caught.value.message


@pytest.mark.parametrize(
    ("field", "typed", "value"),
    [
        ("max_length", "1,024", 1024),
        ("max_length", "1 024", 1024),
        ("max_length", "2e3", 2000),
        ("learning_rate", "2e-4", 0.0002),
        ("learning_rate", "0,0003", 0.0003),
        ("learning_rate", "0.01", 0.01),
        ("max_steps", "", None),
        ("max_steps", " 60 ", 60),
        ("epochs", "0.5", 0.5),
        ("target_modules", "q_proj, v_proj", ("q_proj", "v_proj")),
        ("target_modules", "all-linear", "all-linear"),
        ("target_modules", "", "all-linear"),
        ("output", "", None),
        ("output", "/out/a b", "/out/a b"),
        ("activation_checkpointing", True, True),
        ("method", "qlora", "qlora"),
        ("columns", {"prompt": "question"}, {"prompt": "question"}),
    ],
)
def test_typed_values_reach_the_spec(field: str, typed: Any, value: Any) -> None:
    form = filled()
    form.values[field] = typed
    assert getattr(form.to_spec(), field) == value


def test_a_spec_goes_into_the_form_and_comes_out_the_same() -> None:
    spec = FinetuneSpec(
        model="/m",
        data="/d.csv",
        method="qlora",
        name="again",
        rank=8,
        alpha=16,
        learning_rate=3e-5,
        max_steps=1000,
        target_modules=("q_proj", "v_proj"),
        layout="columns",
        columns={"prompt": "q", "completion": "a"},
        threads=2,
        output="/out",
        train_on="everything",
        activation_checkpointing=True,
    )
    form = filled()
    form.from_spec(spec)
    assert form.to_spec() == spec
    assert form.is_changed("rank")
    assert not form.is_changed("dropout")


def test_reset_keeps_what_was_chosen() -> None:
    form = filled()
    form.values |= {"rank": "nonsense", "method": "qlora", "layout": "alpaca"}
    form.reset()
    assert form.to_spec() == FinetuneSpec(model="/models/tiny", data="/data/chats.jsonl", layout="alpaca")


def test_the_dot_of_a_changed_field_follows_the_value_not_its_spelling() -> None:
    form = filled()
    form.values |= {"max_length": "1024", "learning_rate": "2e-4", "rank": "8", "epochs": "x"}
    assert [name for name in form.fields if name not in form.chosen and form.is_changed(name)] == ["rank", "epochs"]


@pytest.mark.parametrize(
    ("facts", "sentence"),
    [
        (ModelFacts(path="/models/tiny", name="tiny", problem="tiny has no config.json."), "tiny has no config.json."),
        (
            ModelFacts(path="/models/tiny", name="tiny", kind="adapter"),
            "tiny is an adapter; choose the model it belongs to.",
        ),
        (ModelFacts(path="/models/tiny", name="tiny"), ""),
        (ModelFacts(path="/models/other", name="other", problem="broken"), ""),
    ],
)
def test_a_model_that_cannot_be_trained_is_told(facts: ModelFacts, sentence: str) -> None:
    form = filled()
    form.facts = facts
    assert form.missing() == sentence


def test_data_that_cannot_be_trained_on_is_told() -> None:
    form = filled()
    form.report = DataReport(
        path="/data/chats.jsonl", format="jsonl", layout="", rows=0, problem="chats.jsonl is empty."
    )
    assert form.missing() == "chats.jsonl is empty."
    form.report = DataReport(path="/data/chats.jsonl", format="jsonl", layout="text", rows=0)
    assert form.missing() == "chats.jsonl has no usable row."
    form.report = DataReport(path="/data/chats.jsonl", format="jsonl", layout="text", rows=5, bad_row_count=2)
    assert form.missing() == ""
    form.values["bad_rows"] = "stop"
    assert form.missing() == "chats.jsonl has bad rows; skip them or mend the file."


def test_the_choice_comes_before_the_numbers() -> None:
    form = FinetuneForm()
    form.values["rank"] = "0"
    assert form.missing() == "Choose a model to fine-tune."
    form.values["model"] = "/m"
    assert form.missing() == "Choose data to train on."
    with pytest.raises(SpecError, match="Choose data to train on"):
        form.to_spec()


def test_the_demo_is_quick_and_valid() -> None:
    form = FinetuneForm()
    form.from_spec(demo_spec())
    assert form.missing() == ""
    assert form.to_spec() == demo_spec()


def test_a_draft_plans_with_defaults_where_something_is_wrong() -> None:
    form = filled()
    form.values |= {"rank": "8", "learning_rate": "0.2", "max_length": ""}
    assert form.draft() == FinetuneSpec(model="/models/tiny", data="/data/chats.jsonl", rank=8)
    form.values["data"] = ""
    assert form.draft() is None


@pytest.mark.parametrize(
    ("typed", "steps"),
    [
        ({}, 3 * 12),  # 95 of 100 rows in batches of 2 x 4
        ({"epochs": "0.5"}, 6),
        ({"max_steps": "10"}, 10),
        ({"max_rows": "8", "held_out": "0"}, 3),
        ({"held_out": "0", "batch_size": "100"}, 3),
    ],
)
def test_the_number_of_steps_is_told_beforehand(typed: dict[str, str], steps: int) -> None:
    form = filled()
    assert form.steps() is None
    form.report = DataReport(path="/data/chats.jsonl", format="jsonl", layout="text", rows=100)
    form.values |= typed
    assert form.steps() == steps


def test_steps_of_a_file_that_is_still_being_read_are_estimated() -> None:
    form = filled()
    extra = {"estimated_rows": 1000}
    form.report = DataReport(path="/d", format="jsonl", layout="text", rows=10, complete=False, extra=extra)
    assert form.steps() == 3 * 119


def test_weights_are_split_only_where_that_saves_memory_and_can_be_done() -> None:
    form = filled()
    assert not form.is_spread
    form.values |= {"processes": "2", "parallel": "fsdp2"}
    assert form.is_spread and form.to_spec().is_sharded
    assert "share its RAM" in form.refusals("parallel", has_gpu=False)["fsdp2"]
    assert form.refusals("parallel", has_gpu=True) == {}
    form.values["method"] = "qlora"
    assert "4 or 8 bits" in form.refusals("parallel", has_gpu=True)["fsdp2"]
    assert form.missing().startswith("Choose copies in place of parts: weights in 4 or 8 bits")
    form.values |= {"processes": "1"}
    assert form.missing() == ""
