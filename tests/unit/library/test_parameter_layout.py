"""Where a config is incomplete or of an unknown family nothing is guessed, and adapters see the true layers."""

from typing import Any

from desktop_app.domain.finetune_spec import FinetuneSpec
from desktop_app.domain.model_facts import ModelFacts, ModelShape
from desktop_app.library.parameter_layout import parameter_layout
from desktop_app.memory_plan import dense_parameters, trained_parameters

GPT2 = {"model_type": "gpt2", "vocab_size": 50257, "n_embd": 768, "n_layer": 12, "n_head": 12, "n_positions": 1024}


def _adapter(shape: ModelShape, rank: int, targets: Any = "all-linear") -> int:
    spec = FinetuneSpec(model="m", data="d", rank=rank, target_modules=targets)
    return trained_parameters(spec, ModelFacts(path="m", name="m", shape=shape))


def test_an_adapter_of_gpt2_joins_its_fused_layers() -> None:
    layout = parameter_layout(GPT2)
    assert layout is not None
    assert layout.parameters == 124_439_808
    shape = ModelShape(hidden_size=768, layers=12, heads=12, vocab_size=50257, matrices=layout.matrices)
    assert _adapter(shape, 8, ("c_attn",)) == 12 * 8 * (3 * 768 + 768)
    assert _adapter(shape, 8) == 12 * 8 * (4 * 768 + 2 * 768 + 2 * 5 * 768)


def test_experts_are_counted_but_get_no_adapter() -> None:
    sizes = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "vocab_size": 100}
    layout = parameter_layout({"model_type": "mixtral", **sizes, "intermediate_size": 96, "num_local_experts": 8})
    assert layout is not None
    shape = ModelShape(hidden_size=64, layers=2, heads=4, vocab_size=100, matrices=layout.matrices)
    assert _adapter(shape, 1) == 2 * 4 * 128
    assert dense_parameters(shape) == layout.parameters


def test_a_config_that_says_too_little_is_unknown() -> None:
    for change in ({"n_embd": None}, {"n_embd": 0}, {"n_embd": "768"}, {"n_head": True}, {"model_type": "mamba"}):
        assert parameter_layout({**GPT2, **change}) is None
    assert parameter_layout({"model_type": ["gpt2"]}) is None
