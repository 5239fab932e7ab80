"""A merged model is what base and adapter are together, and plain transformers loads it."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.workers.running import run_job, training

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.mark.parametrize("method", ["lora", "qlora"])
def test_the_merged_model_loses_what_the_adapter_loses(method: str, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    ran = run_job(tmp_path, **training(method=method, merge=True, max_steps=6, learning_rate=2e-3))
    assert ran.code == 0, ran.last
    summary = ran.last.summary
    assert abs(summary["merged_eval_loss_change"]) < 0.001
    assert summary["merged_logit_difference"] > 0, "both were really computed"
    assert summary["merged_eval_loss"] == pytest.approx(summary["eval_loss_after"], rel=0.001)
    assert summary["merged_eval_loss"] < summary["eval_loss_before"]
    folder = ran.result / "merged"
    tensors = load_file(folder / "model.safetensors")
    assert {tensor.dtype for tensor in tensors.values()} == {torch.bfloat16}, "the number format of the original"
    assert not any("quant" in name or "lora" in name for name in tensors)
    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    assert "quantization_config" not in model.config.to_dict()
    assert "rope_theta" in json.loads((folder / "config.json").read_text()), "where transformers 4 looks for it"
    assert tokenizer.chat_template == (ran.result / "chat_template.jinja").read_text()
    assert "merged_logit_difference" in (ran.result / "README.md").read_text()
