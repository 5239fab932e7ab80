"""What a checkpoint brings back is held as it was when it was saved: peft widens 16-bit adapters when it loads them."""

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


@pytest.fixture
def trainer(tmp_path: Path) -> Any:
    """A trainer of a small random model in bf16, whose adapter is in bf16 too, as plain trl leaves it with QLoRA."""
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    from desktop_app.workers.trainers import make_trainer

    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2}
    model = LlamaForCausalLM(LlamaConfig(vocab_size=1024, **sizes)).to(torch.bfloat16)
    row = np.arange(8, dtype=np.int32)
    made = make_trainer(
        parse_spec(training()),  # type: ignore[arg-type]
        model,
        AutoTokenizer.from_pretrained(DEMO_MODEL),
        TokenRows([(row, row)]).table(),
        tmp_path / "trainer",
        torch.float32,
        [],
    )
    for parameter in adapter(made).values():
        parameter.data = parameter.data.to(torch.bfloat16)
    return made


def adapter(trainer: Any) -> dict[str, torch.nn.Parameter]:
    return {name: each for name, each in trainer.model.named_parameters() if "lora_" in name}


def test_an_adapter_is_resumed_in_the_format_it_was_saved_in(trainer: Any, tmp_path: Path) -> None:
    before = {name: parameter.detach().clone() for name, parameter in trainer.model.named_parameters()}
    trainer.save_model(str(tmp_path / "checkpoint"))
    trainer._load_from_checkpoint(str(tmp_path / "checkpoint"))
    after = dict(trainer.model.named_parameters())
    assert {parameter.dtype for parameter in adapter(trainer).values()} == {torch.bfloat16}
    assert all(torch.equal(after[name], before[name]) for name in before)


def test_what_is_not_trained_must_not_change_its_format(trainer: Any, tmp_path: Path) -> None:
    trainer.save_model(str(tmp_path / "checkpoint"))
    for parameter in adapter(trainer).values():
        parameter.requires_grad = False
    with pytest.raises(JobError, match=r"changed the number format of .*lora_.* from torch.bfloat16 to torch.float32"):
        trainer._load_from_checkpoint(str(tmp_path / "checkpoint"))
