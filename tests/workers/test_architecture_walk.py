"""The walk through models on the meta device: it finds what is counted by arithmetic, and families that are not."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from desktop_app.domain.finetune_spec import FinetuneSpec
from desktop_app.domain.machine import MachineSample
from desktop_app.domain.model_facts import Matrix, ModelFacts
from desktop_app.errors import ModelError
from desktop_app.library.model_config import read_model_config
from desktop_app.library.parameter_layout import parameter_layout
from desktop_app.memory_plan import memory_plan
from desktop_app.workers.architecture_walk import layout_of, walk
from tests.workers.test_chat import Heard
from tests.workers.test_parameter_layout import CONFIGS

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.usefixtures("data_dir")]
_SMALL = {"vocab_size": 96, "hidden_size": 64, "num_hidden_layers": 3, "num_attention_heads": 4}
UNKNOWN: list[dict[str, Any]] = [
    {"model_type": "opt", **_SMALL, "ffn_dim": 128, "word_embed_proj_dim": 64},
    {"model_type": "stablelm", **_SMALL, "intermediate_size": 160, "num_key_value_heads": 2},
    {"model_type": "starcoder2", **_SMALL, "intermediate_size": 160, "num_key_value_heads": 2},
    {"model_type": "cohere", **_SMALL, "intermediate_size": 160},
    {"model_type": "olmo", **_SMALL, "intermediate_size": 160},
    {"model_type": "granite", **_SMALL, "intermediate_size": 160},
    {"model_type": "gptj", "vocab_size": 96, "n_embd": 64, "n_layer": 3, "n_head": 4, "rotary_dim": 16},
]
SAMPLE = MachineSample(time=0, cpu=0, memory_total=2**36, memory_used=0)


def _built(given: dict[str, Any]) -> Any:
    with torch.device("meta"):
        return AutoModelForCausalLM.from_config(AutoConfig.for_model(**given))


def _linear(matrices: tuple[Matrix, ...]) -> list[tuple[str, int, int, int]]:
    counts: dict[tuple[str, int, int], int] = {}
    for each in matrices:
        if each.is_linear:
            key = (each.name, each.out, each.into)
            counts[key] = counts.get(key, 0) + each.count
    return sorted((*key, count) for key, count in counts.items())


_FAMILIES = {str(given["model_type"]): given for given in reversed(CONFIGS)}


@pytest.mark.parametrize("family", sorted(_FAMILIES))
def test_it_finds_the_linear_layers_that_are_counted_by_arithmetic(family: str) -> None:
    counted = parameter_layout(_FAMILIES[family])
    found = layout_of(_built(_FAMILIES[family]))
    assert counted is not None
    assert _linear(found.matrices) == _linear(counted.matrices)
    assert found.parameters == counted.parameters
    assert sum(each.weights for each in found.matrices) == sum(each.weights for each in counted.matrices)


@pytest.mark.parametrize("given", UNKNOWN, ids=lambda given: str(given["model_type"]))
def test_a_family_is_unknown_until_it_was_walked_through(given: dict[str, Any], tmp_path: Path) -> None:
    config = AutoConfig.for_model(**given)
    (tmp_path / "config.json").write_text(config.to_json_string(use_diff=False))
    spec = FinetuneSpec(model=str(tmp_path), data="/d", device="cpu")

    def planned() -> tuple[str, str]:
        shape = read_model_config(tmp_path).shape
        model_type = str(given["model_type"])
        facts = ModelFacts(path=str(tmp_path), name="m", model_type=model_type, parameters=300_000, shape=shape)
        plan = memory_plan(spec, facts, SAMPLE)
        return plan.verdict, plan.sentence

    assert planned()[0] == "unknown" and "not been counted yet" in planned()[1]
    found = walk(str(tmp_path), Heard())
    assert found["problem"] == "" and found["parameters"] == sum(w.numel() for w in _built(given).parameters())
    assert planned()[0] == "fits"
    assert read_model_config(tmp_path).shape.matrices


def test_what_cannot_be_built_stays_unknown_and_says_why(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "opt", **_SMALL, "num_attention_heads": 7}))
    assert "ValueError" in walk(str(tmp_path), Heard())["problem"]
    shape = read_model_config(tmp_path).shape
    assert not shape.matrices and "cannot build it" in shape.unknown_because
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "opt", **_SMALL, "trust_remote_code": True}))
    with pytest.raises(ModelError, match="trust_remote_code"):
        walk(str(tmp_path), Heard())
