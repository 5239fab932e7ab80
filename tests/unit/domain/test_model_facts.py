"""Which model stands behind a copy or an adapter."""

from typing import get_args

import pytest

from desktop_app.domain.finetune_spec import FinetuneMethod
from desktop_app.domain.model_facts import ModelFacts, ModelOrigin
from desktop_app.domain.training_limits import method_refusal


@pytest.mark.parametrize(
    ("facts", "original", "trainable"),
    [
        (ModelFacts(path="/m", name="m"), "/m", "/m"),
        (ModelFacts(path="/a", name="a", kind="adapter", base_model="/m"), "/m", "/m"),
        (ModelFacts(path="/a", name="a", kind="adapter"), "/a", "/a"),
        (
            ModelFacts(path="/g.gguf", name="g", kind="gguf", origin=ModelOrigin(kind="quantize", source="/m")),
            "/m",
            "/m",
        ),
        (
            ModelFacts(path="/n", name="n", quantization="NF4", origin=ModelOrigin(kind="quantize", source="/m")),
            "/m",
            "/m",
        ),
        (ModelFacts(path="/merged", name="n", origin=ModelOrigin(kind="finetune", source="/m")), "/m", "/merged"),
        (ModelFacts(path="/c", name="c", origin=ModelOrigin(kind="convert", source="/old")), "/c", "/c"),
    ],
)
def test_what_stands_behind_a_model(facts: ModelFacts, original: str, trainable: str) -> None:
    assert (facts.original, facts.trainable) == (original, trainable)


def test_a_model_quantized_by_gptq_is_not_trained() -> None:
    facts = ModelFacts(path="m", name="m", quantization="GPTQ 4 bit")
    assert all("GPTQ 4 bit" in method_refusal(method, facts) for method in get_args(FinetuneMethod))
    assert method_refusal("qlora", facts.model_copy(update={"quantization": "NF4"})) == ""
