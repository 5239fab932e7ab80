"""A merged model is what base and adapter are together, and plain transformers loads it."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from desktop_app.workers.adapter_result import with_adapter
from desktop_app.workers.loading import four_bit_config, load_model
from desktop_app.workers.merge import MERGED
from tests.workers.running import DEMO_MODEL, run_job, training

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
    if method == "qlora":
        ours, in_four_bits = distances(ran.result)
        assert ours < 0.1 * in_four_bits, "merging into the rounded weights rounds the adapter away"


def distances(adapter: Path) -> tuple[float, float]:
    """Root mean square distance of logits from the trained adapter's: of our merged model, and of merging in 4 bits."""
    processor = torch.device("cpu")
    ids = torch.arange(5, 205).reshape(4, 50)

    def rounded() -> Any:
        kept = ["lm_head", "embed_tokens"]
        return load_model(DEMO_MODEL, processor, torch.float32, four_bit_config(torch.float32, kept, True, "nf4"))

    models = (
        with_adapter(rounded(), adapter),
        load_model(adapter / MERGED, processor, torch.float32),
        with_adapter(rounded(), adapter).merge_and_unload(),
    )
    with torch.no_grad():
        wanted, *found = (model(input_ids=ids).logits for model in models)
    ours, in_four_bits = (float((each - wanted).square().mean().sqrt()) for each in found)
    return ours, in_four_bits
