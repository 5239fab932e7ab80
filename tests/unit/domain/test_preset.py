"""Presets: three ready ones that are real specs, and settings kept as YAML that come back as they were."""

import pytest

from desktop_app.domain.finetune_spec import FinetuneSpec
from desktop_app.domain.preset import PRESETS, preset_text, preset_values, read_preset, usual_learning_rate
from desktop_app.errors import SpecError


@pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.title)
def test_a_ready_preset_is_a_spec_that_can_start(preset: object) -> None:
    for objective in ("sft", "dpo", "kto", "orpo", "reward"):
        for method in ("lora", "full"):
            values = preset_values(preset, objective, method)  # type: ignore[arg-type]
            spec = FinetuneSpec(model="m", data="d", **values)
            assert 0.4 <= spec.learning_rate / usual_learning_rate(objective, method) <= 1  # type: ignore[arg-type]


def test_balanced_is_the_default() -> None:
    values = preset_values(PRESETS[1], "sft", "lora")
    assert FinetuneSpec(model="m", data="d", **values) == FinetuneSpec(model="m", data="d")


def test_settings_come_back_from_yaml_as_they_were() -> None:
    spec = FinetuneSpec(
        model="m",
        data="d",
        name="mine",
        method="qlora",
        rank=64,
        target_modules=("q_proj", "v_proj"),
        sample_prompts=("Who are you?", "Was gibt es: Käse?"),
        max_steps=10,
    )
    text = preset_text(spec)
    assert "mine" not in text
    assert "# Rank of the adapter" in text
    assert FinetuneSpec(model="m", data="d", name="mine", **read_preset(text)) == spec


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("rank: [1", "no YAML in line"),
        ("- rank", "no settings"),
        ("rnak: 8", "'rnak', which is no setting"),
        ("model: /x", "'model', which is no setting"),
        ("rank: 5000", "rank: Input should be less than or equal to 1024"),
        ("!!python/object/apply:os.system [ls]", "no YAML"),
    ],
)
def test_a_bad_preset_is_told_in_words(text: str, words: str) -> None:
    with pytest.raises(SpecError, match="preset") as caught:
        read_preset(text)
    assert words in caught.value.message


def test_an_empty_preset_is_the_defaults() -> None:
    assert FinetuneSpec(model="m", data="d", **read_preset("")) == FinetuneSpec(model="m", data="d")
