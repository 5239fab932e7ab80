"""What a setting does in the trainer itself, on a small random model: number formats, order, noise, what is trained."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from desktop_app.domain.spec import parse_spec
from desktop_app.errors import JobError
from desktop_app.workers.token_rows import TokenRows
from tests.workers.running import DEMO_MODEL, training

pytestmark = pytest.mark.filterwarnings("ignore")
Make = Callable[..., Any]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Makes the trainer of a small random model and twelve rows, each of one token of its own."""
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    from desktop_app.workers.trainers import make_trainer

    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2}
    rows = TokenRows([(row := np.full(8, number, dtype=np.int32), row) for number in range(12)])
    tokenizer = AutoTokenizer.from_pretrained(DEMO_MODEL)

    def made(dtype: torch.dtype = torch.float32, **settings: Any) -> Any:
        torch.manual_seed(0)
        model = LlamaForCausalLM(LlamaConfig(vocab_size=1024, **sizes)).to(dtype)
        small = {"max_steps": 2, "batch_size": 2, "gradient_accumulation": 1, "dropout": 0, "warmup_ratio": 0}
        spec: Any = parse_spec(training(**small | settings))
        return make_trainer(spec, model, tokenizer, rows.table(), tmp_path / "trainer", torch.float32, [])

    return made


def adapter(trainer: Any) -> dict[str, torch.nn.Parameter]:
    return {name: each for name, each in trainer.model.named_parameters() if "lora_" in name}


@pytest.fixture
def narrow(make: Make) -> Any:
    """A trainer whose adapter is in bf16, as plain trl leaves it with QLoRA; peft widens those that it loads."""
    made = make(torch.bfloat16)
    assert {parameter.dtype for parameter in adapter(made).values()} == {torch.float32}, "ours are wide"
    for parameter in adapter(made).values():
        parameter.data = parameter.data.to(torch.bfloat16)
    return made


def test_an_adapter_is_resumed_in_the_format_it_was_saved_in(narrow: Any, tmp_path: Path) -> None:
    before = {name: parameter.detach().clone() for name, parameter in narrow.model.named_parameters()}
    narrow.save_model(str(tmp_path / "checkpoint"))
    narrow._load_from_checkpoint(str(tmp_path / "checkpoint"))
    after = dict(narrow.model.named_parameters())
    assert {parameter.dtype for parameter in adapter(narrow).values()} == {torch.bfloat16}
    assert all(torch.equal(after[name], before[name]) for name in before)


def test_what_is_not_trained_must_not_change_its_format(narrow: Any, tmp_path: Path) -> None:
    narrow.save_model(str(tmp_path / "checkpoint"))
    for parameter in adapter(narrow).values():
        parameter.requires_grad = False
    with pytest.raises(JobError, match=r"changed the number format of .*lora_.* from torch.bfloat16 to torch.float32"):
        narrow._load_from_checkpoint(str(tmp_path / "checkpoint"))


def test_an_adapter_begins_where_its_seed_says(make: Make) -> None:
    first, again, other = (adapter(make(seed=seed)) for seed in (1, 1, 2))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


def test_the_order_of_the_examples_is_drawn_by_its_own_seed(make: Make) -> None:
    def order(**seeds: int) -> list[int]:
        return [int(row[0]) for batch in make(**seeds).get_train_dataloader() for row in batch["input_ids"]]

    drawn = order(seed=1)
    assert sorted(drawn) == list(range(12))
    assert order(seed=1) == drawn
    assert order(seed=2) != drawn
    assert order(seed=2, shuffle_seed=1) == drawn
    assert order(seed=1, shuffle_seed=3) != drawn


def test_noise_on_the_embeddings_is_what_neftune_adds_the_same_each_time(make: Make) -> None:
    def losses(**settings: float) -> list[float]:
        trainer = make(**settings)
        trainer.train()
        return [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]

    plain, noisy = losses(), losses(neftune_alpha=5.0)
    assert plain[0] != noisy[0], "the first step already"
    assert losses(neftune_alpha=5.0) == noisy


def test_modules_to_save_are_trained_whole_beside_the_adapter(make: Make) -> None:
    names = {name for name, each in make(modules_to_save=("lm_head",)).model.named_parameters() if each.requires_grad}
    assert [name for name in names if "lora_" not in name] == [
        "base_model.model.lm_head.modules_to_save.default.weight"
    ]
