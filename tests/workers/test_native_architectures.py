"""The list of native architectures is that of the installed transformers, and their configs can all be read."""

import json
from pathlib import Path

import pytest
from transformers import AutoConfig
from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from desktop_app.errors import ModelError
from desktop_app.library.model_config import read_model_config
from desktop_app.library.native_architectures import CAUSAL_LANGUAGE_MODELS, OTHER_MODELS

# Language models whose configs say their sizes in ways of their own; they are shown without them.
UNKNOWN_SIZES = {"blt", "musicgen", "musicgen_melody", "nemotron_h", "trocr", "xlm"}


def test_the_list_is_that_of_the_installed_transformers() -> None:
    assert set(CONFIG_MAPPING_NAMES) == CAUSAL_LANGUAGE_MODELS | OTHER_MODELS
    assert set(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES) > CAUSAL_LANGUAGE_MODELS
    assert CAUSAL_LANGUAGE_MODELS.isdisjoint({"bart", "whisper", "marian"})  # decoders of something else


@pytest.mark.filterwarnings("ignore")  # of transformers, about its own defaults
def test_the_config_of_every_language_model_can_be_read(tmp_path: Path) -> None:
    problems = []
    for model_type in sorted(CAUSAL_LANGUAGE_MODELS):
        try:
            config = AutoConfig.for_model(model_type)
        except Exception:  # noqa: BLE001 - a config without defaults
            continue
        for written in ({**config.to_diff_dict(), "model_type": model_type}, config.to_dict()):
            (tmp_path / "config.json").write_text(json.dumps(written, default=str))
            try:
                shape = read_model_config(tmp_path).shape
            except ModelError as error:
                problems.append(f"{model_type}: {error}")
        if not (shape.layers and shape.hidden_size and shape.vocab_size) and model_type not in UNKNOWN_SIZES:
            problems.append(f"{model_type}: {shape}")
    assert problems == []
