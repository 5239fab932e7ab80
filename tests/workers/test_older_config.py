"""What transformers 4 needs in a config.json, and that version 5 reads the same as before.

The expected values were read back by transformers 4.57.3; without them it took 10,000 for every base.
"""

import json
from pathlib import Path
from typing import Any

import pytest
from transformers import (
    AutoConfig,
    Gemma3TextConfig,
    GPT2Config,
    GPTNeoXConfig,
    LlamaConfig,
    Phi3Config,
    PhiConfig,
    PreTrainedConfig,
    Qwen3Config,
)

from desktop_app.workers.older_config import keep_older_names

SMALL: dict[str, Any] = {"hidden_size": 64, "num_hidden_layers": 4, "num_attention_heads": 4, "vocab_size": 100}
LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}
LLAMA3 |= {"original_max_position_embeddings": 1024}
LONG = {"short_factor": [1.0] * 8, "long_factor": [2.0] * 8}


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (LlamaConfig(**SMALL, rope_theta=1e6), {"rope_theta": 1e6}),
        (
            LlamaConfig(**SMALL, rope_theta=5e5, rope_scaling=dict(LLAMA3)),
            {"rope_theta": 5e5, "rope_scaling": LLAMA3},
        ),
        (Qwen3Config(**SMALL, rope_theta=1e6), {"rope_theta": 1e6}),
        (Gemma3TextConfig(**SMALL), {"rope_theta": 1e6, "rope_local_base_freq": 1e4}),
        (
            PhiConfig(**SMALL, rope_theta=2e4, partial_rotary_factor=0.4),
            {"rope_theta": 2e4, "partial_rotary_factor": 0.4},
        ),
        (GPTNeoXConfig(**SMALL, rotary_emb_base=2e4, rotary_pct=0.5), {"rotary_emb_base": 2e4, "rotary_pct": 0.5}),
        (
            Phi3Config(
                **SMALL,
                rope_scaling={"rope_type": "longrope", **LONG},
                max_position_embeddings=131_072,
                original_max_position_embeddings=4096,
                pad_token_id=0,
            ),
            {"rope_theta": 1e4, "rope_scaling": {"type": "longrope", **LONG}, "original_max_position_embeddings": 4096},
        ),
        (GPT2Config(), {}),
    ],
    ids=lambda value: value.model_type if isinstance(value, PreTrainedConfig) else "",
)
def test_rotary_settings_stand_where_version_4_looks(
    tmp_path: Path, config: PreTrainedConfig, expected: dict[str, object]
) -> None:
    config.save_pretrained(str(tmp_path))
    before = AutoConfig.from_pretrained(tmp_path)
    keep_older_names(tmp_path)
    written = json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))
    assert {name: written.get(name) for name in expected} == expected
    after = AutoConfig.from_pretrained(tmp_path)
    rope, rope_before = getattr(after, "rope_parameters", None), getattr(before, "rope_parameters", None)
    assert {**(rope or {}), "type": 0} == {**(rope_before or {}), "type": 0}


def test_what_stands_in_a_config_stays(tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    file.write_text(json.dumps({"rope_theta": 5.0, "rope_parameters": {"rope_theta": 7.0}}), encoding="utf-8")
    keep_older_names(tmp_path)
    assert json.loads(file.read_text(encoding="utf-8"))["rope_theta"] == 5.0
