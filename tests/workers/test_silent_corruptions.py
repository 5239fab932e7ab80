"""What the libraries spoil without a word, and that it cannot happen here. Each test fails without our guard."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from bitsandbytes.functional import dequantize_4bit

from desktop_app.domain.finetune_spec import FinetuneSpec
from desktop_app.errors import ModelError, SpecError, StorageError
from desktop_app.result_folder import manifest_problems
from desktop_app.workers import loading
from desktop_app.workers.bitsandbytes_format import Int8Format
from desktop_app.workers.held_out import HeldOut
from desktop_app.workers.quantized_check import QuantizedCheck
from desktop_app.workers.token_rows import TokenRows
from tests.workers.running import DEMO_MODEL, Ran

pytestmark = pytest.mark.filterwarnings("ignore")
CPU = torch.device("cpu")


def four_bit_weights(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {
        name: dequantize_4bit(module.weight.data, module.weight.quant_state).clone()
        for name, module in model.named_modules()
        if type(module).__name__ == "Linear4bit"
    }


def test_a_forward_leaves_four_bit_weights_as_they_are(
    quantized: dict[str, Ran], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On processors with AVX512-BF16 bitsandbytes repacks them; it is made to believe that this is one."""
    monkeypatch.setattr("bitsandbytes.nn.modules.has_avx512bf16", lambda: True)
    model = loading.load_model(quantized["nf4"].result, CPU, torch.bfloat16)
    layers = [module for module in model.modules() if type(module).__name__ == "Linear4bit"]
    assert layers
    assert not any(getattr(layer, "support_avx512bf16_for_cpu", False) for layer in layers)
    before = four_bit_weights(model)
    with torch.no_grad():
        model(input_ids=torch.arange(32)[None])
    after = four_bit_weights(model)
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_a_model_that_lacks_weights_is_refused(tmp_path: Path) -> None:
    """transformers draws them at random and only warns."""
    folder = tmp_path / "model"
    shutil.copytree(DEMO_MODEL, folder)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    more = {"num_hidden_layers": config["num_hidden_layers"] + 2, "layer_types": None}
    (folder / "config.json").write_text(json.dumps({**config, **more}), encoding="utf-8")
    with pytest.raises(ModelError, match="lacks"):
        loading.load_model(folder, CPU, torch.bfloat16)


def test_overwritten_weights_with_a_whole_header_are_noticed(quantized: dict[str, Ran], tmp_path: Path) -> None:
    """safetensors checks its header only."""
    folder = tmp_path / "copy"
    shutil.copytree(quantized["int8"].result, folder)
    file = folder / "model.safetensors"
    content = bytearray(file.read_bytes())
    content[-200_000:] = b"\xff" * 200_000
    file.write_bytes(content)
    assert manifest_problems(folder) == ["model.safetensors has other content than when it was written"]
    with pytest.raises(StorageError, match="differs from the original"):
        QuantizedCheck(DEMO_MODEL, folder, Int8Format(), torch.bfloat16, ["lm_head"]).compare()


def test_a_held_out_loss_that_is_no_number_ends_a_training_in_words() -> None:
    """A word whose embedding is damaged stands in held-out rows alone: the loss in training says nothing of it."""
    model = loading.load_model(DEMO_MODEL, CPU, torch.float32)
    rows = TokenRows([(np.array([5, 6, 7, 8], np.int32), np.array([5, 6, 7, 8], np.int32))])
    whole, spoiled = (HeldOut(FinetuneSpec(model="/m", data="/d"), rows, lambda: None) for _ in range(2))
    assert whole.measure(model)["eval_loss"] > 0
    with torch.no_grad():
        model.get_input_embeddings().weight[6] = float("inf")
    with pytest.raises(ModelError, match="not a number") as before:
        spoiled.measure(model)
    assert "damaged" in before.value.hint
    with pytest.raises(SpecError, match="no longer a number") as later:
        whole.measure(model)
    assert "learning_rate" in later.value.hint
