"""An adapter is merged with its base in 16 bits and then quantized; what it learned is still there."""

import json
import shutil
from pathlib import Path

import pytest
from peft import PeftModel
from transformers import AutoModelForCausalLM

from desktop_app.job_folder import Request
from desktop_app.result_folder import manifest_problems
from desktop_app.workers.run import run_worker
from tests.workers.running import DEMO_MODEL, Ran, new_job, quantization, run_job

pytestmark = pytest.mark.filterwarnings("ignore")


def weights(folder: Path) -> bytes:
    return (folder / "model.safetensors").read_bytes()


def test_an_adapter_is_merged_first_and_then_quantized(lora: Ran, quantized: dict[str, Ran], tmp_path: Path) -> None:
    base = AutoModelForCausalLM.from_pretrained(DEMO_MODEL, dtype="auto")
    merged = tmp_path / "merged"
    PeftModel.from_pretrained(base, lora.result).merge_and_unload(safe_merge=True).save_pretrained(merged)
    wanted = run_job(tmp_path, **quantization("int8", model=str(merged)))
    ran = run_job(tmp_path, **quantization("int8", model=str(lora.result)))
    assert manifest_problems(ran.result) == []
    assert weights(ran.result) == weights(wanted.result)
    assert weights(ran.result) != weights(quantized["int8"].result)
    assert not (ran.folder.path / "merged").exists()


def test_a_cancelled_job_does_not_merge_again(lora: Ran, tmp_path: Path) -> None:
    job = new_job(tmp_path, **quantization("nf4", model=str(lora.result)))
    job.ask(Request.CANCEL)
    assert Ran(job, run_worker(job.path)).code == 130
    job.take_back(Request.CANCEL)
    ran = Ran(job, run_worker(job.path))
    assert manifest_problems(ran.result) == []


def test_an_adapter_without_its_base_or_with_a_quantized_one_is_refused(
    lora: Ran, quantized: dict[str, Ran], tmp_path: Path
) -> None:
    for base, words in ((tmp_path / "gone", "is not there"), (quantized["nf4"].result, "quantized already")):
        adapter = tmp_path / f"adapter-{words.split()[0]}"
        shutil.copytree(lora.result, adapter)
        config = json.loads((adapter / "adapter_config.json").read_text())
        (adapter / "adapter_config.json").write_text(json.dumps({**config, "base_model_name_or_path": str(base)}))
        ran = run_job(tmp_path, **quantization("nf4", model=str(adapter)))
        assert (ran.code, ran.last.error) == (2, "model")
        assert words in ran.last.message
