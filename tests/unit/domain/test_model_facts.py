"""Which model stands behind a copy or an adapter."""

import pytest

from desktop_app.domain.model_facts import ModelFacts, ModelOrigin


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
