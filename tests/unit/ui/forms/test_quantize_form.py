"""The quantization form refuses in words what is quantized already."""

from typing import Any

import pytest

from desktop_app.domain.model_facts import ModelFacts, ModelShape
from desktop_app.domain.quantize_spec import QuantizeSpec
from desktop_app.errors import SpecError
from desktop_app.extras import missing_extra
from desktop_app.ui.forms import quantize_form
from desktop_app.ui.forms.quantize_form import QuantizeForm


def filled(**facts: Any) -> QuantizeForm:
    form = QuantizeForm()
    form.values["model"] = "/models/tiny"
    form.facts = ModelFacts(path="/models/tiny", name="tiny", **facts)
    return form


def test_an_untouched_form_quantizes_twice_as_the_authors_advise() -> None:
    spec = filled().to_spec()
    assert spec == QuantizeSpec(model="/models/tiny")
    assert spec.double_quantization


@pytest.mark.parametrize(
    ("facts", "sentence"),
    [
        ({"quantization": "nf4"}, "tiny is quantized already (nf4); choose the original model."),
        ({"kind": "adapter"}, "tiny is an adapter whose base model is not known; export it as a whole model first."),
        (
            {"kind": "gguf"},
            "tiny is a GGUF file; choose the folder of the model that it was made of.",
        ),
        ({"problem": "tiny has no config.json."}, "tiny has no config.json."),
    ],
)
def test_what_cannot_be_quantized_is_refused_in_words(facts: dict[str, Any], sentence: str) -> None:
    form = filled(**facts)
    assert form.missing() == sentence
    with pytest.raises(SpecError) as caught:
        form.to_spec()
    assert caught.value.message == sentence


def test_all_settings_reach_the_spec_and_come_back() -> None:
    form = filled()
    form.values |= {"method": "int8", "skip_modules": "lm_head, model.layers.0 ", "output": " /out ", "name": "small"}
    spec = form.to_spec()
    assert spec == QuantizeSpec(
        model="/models/tiny", method="int8", skip_modules=("lm_head", "model.layers.0"), output="/out", name="small"
    )
    again = QuantizeForm()
    again.from_spec(spec)
    assert again.to_spec() == spec
    again.reset()
    assert again.to_spec() == QuantizeSpec(model="/models/tiny")


@pytest.mark.parametrize(
    ("field", "typed", "message"),
    [("threads", "0", "Below 1."), ("threads", "a", "Not a number."), ("name", "n" * 81, "Longer than 80.")],
)
def test_bounds_are_told(field: str, typed: str, message: str) -> None:
    form = filled()
    form.values[field] = typed
    assert form.errors[field].message == message
    assert form.missing().startswith("Start needs ")


def test_no_model_no_start() -> None:
    assert QuantizeForm().missing() == "Choose a model to quantize."


def test_weighing_errors_needs_a_text_where_the_format_heeds_it() -> None:
    form = filled()
    form.values |= {"method": "gguf_q4_k_m", "importance_matrix": True}
    assert form.missing() == "Name a text, or do not weigh by one."
    assert form.missing_choice() == ""
    form.values["calibration_data"] = "/texts/mine.txt"
    assert form.missing() == ""
    form.values |= {"method": "gguf_q8_0", "calibration_data": ""}
    assert not form.weighs_errors
    assert form.missing() == ""
    assert "tokenizer" in form.kept_sentence()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"skip_modules": "q_proj"}, "AWQ takes all layers but the output layer"),
        ({"keep_last_layers": "1"}, "AWQ takes all layers but the output layer"),
        ({"group_size": 256}, "AWQ has groups of 32, 64, 128."),
    ],
)
def test_awq_takes_all_layers_and_names_what_it_needs(settings: dict[str, object], said: str) -> None:
    form = filled()
    form.values |= {"method": "awq", **settings}
    needed = missing_extra("gptq")
    assert form.missing().startswith(f"AWQ {needed}." if needed else said)
    assert form.reads_text and not form.has_gptq
    with pytest.raises(SpecError, match="awq"):
        form.to_spec()


@pytest.mark.parametrize(
    ("inputs", "said"), [(192, "Choose a group size of 64: AWQ takes all layers"), (200, "Choose another format: AWQ")]
)
def test_awq_says_which_group_size_the_layers_can_have(monkeypatch: pytest.MonkeyPatch, inputs: int, said: str) -> None:
    monkeypatch.setattr(quantize_form, "method_refusals", dict)
    shape = ModelShape(hidden_size=inputs, intermediate_size=512, layers=1, heads=1, kv_heads=1, head_dim=64)
    form = filled(shape=shape)
    form.values |= {"method": "awq", "group_size": 128}
    assert form.missing().startswith(said)
    form.values["group_size"] = 64
    assert (form.missing() == "") is (inputs == 192)


def test_gptq_keeps_all_blocks_alike_and_names_what_it_needs() -> None:
    form = filled()
    form.values |= {"method": "gptq", "keep_first_layers": "1"}
    needed = missing_extra("gptq")
    alike = "GPTQ treats all layers alike: keep no first or last layers, or choose another format."
    assert form.missing() == (f"GPTQ {needed}." if needed else alike)
    with pytest.raises(SpecError, match="treats all layers alike"):
        form.to_spec()
    form.values |= {"keep_first_layers": "0", "bits": 8, "group_size": -1}
    spec = form.to_spec()
    assert (spec.bits, spec.group_size, spec.act_order) == (8, -1, False)
    again = QuantizeForm()
    again.from_spec(spec)
    assert again.to_spec() == spec
