"""Quantizing the demo model for real: smaller, close to the original, loadable anywhere, and never silently wrong."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from desktop_app.domain.evaluation import EvaluationReport
from desktop_app.errors import StorageError
from desktop_app.process import helper_environment
from desktop_app.result_folder import manifest_problems
from tests.workers.running import DEMO_DATA, DEMO_MODEL, ROOT, Ran, fresh_python, new_job, quantization, run_job

pytestmark = pytest.mark.filterwarnings("ignore")
WEIGHTS = "model.safetensors"
GENERATE = """
import sys
from transformers import AutoModelForCausalLM, AutoTokenizer
model = AutoModelForCausalLM.from_pretrained(sys.argv[1])
tokenizer = AutoTokenizer.from_pretrained(sys.argv[1])
ids = tokenizer("Where is the hammer?", return_tensors="pt")
print(tokenizer.decode(model.generate(**ids, max_new_tokens=8, do_sample=False)[0]))
print(sorted({type(module).__name__ for module in model.modules() if "bit" in type(module).__name__}))
"""


def test_the_copies_are_smaller_and_close(quantized: dict[str, Ran]) -> None:
    nf4, int8 = quantized["nf4"].last.summary, quantized["int8"].last.summary
    assert nf4["quantized_layers"] == int8["quantized_layers"] == 28
    assert nf4["ratio"] < int8["ratio"] < 0.7
    assert 0.05 < nf4["mean_relative_error"] < 0.15
    assert 0.001 < int8["mean_relative_error"] < 0.02
    for ran in quantized.values():
        assert manifest_problems(ran.result) == []
        assert {"names and shapes", "format", "relative error", "size", "reload"} <= ran.last.checks.keys()
        for name in ("tokenizer.json", "generation_config.json", "chat_template.jinja"):
            assert (ran.result / name).read_bytes() == (DEMO_MODEL / name).read_bytes()


@pytest.mark.parametrize(("method", "kind"), [("nf4", "Linear4bit"), ("int8", "Linear8bitLt")])
def test_a_copy_loads_in_plain_transformers(quantized: dict[str, Ran], method: str, kind: str) -> None:
    out = subprocess.run(
        fresh_python(GENERATE, str(quantized[method].result)),
        capture_output=True,
        text=True,
        env=helper_environment(1),
        check=True,
    )
    assert "Where is the hammer?" in out.stdout
    assert kind in out.stdout


def test_double_quantization_can_be_left_out(tmp_path: Path, quantized: dict[str, Ran]) -> None:
    single = run_job(tmp_path, **quantization("nf4", double_quantization=False))
    assert single.last.summary["size_after_bytes"] > quantized["nf4"].last.summary["size_after_bytes"]


def test_layers_of_a_shape_that_four_bits_cannot_take_stay(odd_model: Path, tmp_path: Path) -> None:
    ran = run_job(tmp_path, **quantization("nf4", model=str(odd_model)))
    assert ran.last.summary["quantized_layers"] == 8
    assert "6 of 15 linear layers are not quantized" in ran.of_kind("notice")[0].text
    out = subprocess.run(
        fresh_python(GENERATE, str(ran.result)), capture_output=True, text=True, env=helper_environment(1), check=True
    )
    assert "Linear4bit" in out.stdout
    assert run_job(tmp_path, **quantization("int8", model=str(odd_model))).last.summary["quantized_layers"] == 14


def test_a_quantized_model_is_not_quantized_again(quantized: dict[str, Ran], tmp_path: Path) -> None:
    ran = run_job(tmp_path, **quantization("int8", model=str(quantized["nf4"].result)))
    assert (ran.code, ran.last.error) == (2, "model")
    assert "quantized already (NF4" in ran.last.message
    assert "original" in ran.last.hint


def test_neither_peft_nor_trl_is_imported(tmp_path: Path) -> None:
    job = new_job(tmp_path, **quantization("nf4"))
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]); from desktop_app.workers.run import run_worker; "
        "assert run_worker(sys.argv[2]) == 0; print([name for name in ('peft', 'trl') if name in sys.modules])"
    )
    out = subprocess.run(
        [sys.executable, "-c", program, str(ROOT), str(job.path)],
        capture_output=True,
        text=True,
        env=helper_environment(1),
        check=True,
    )
    assert out.stdout.strip().splitlines()[-1] == "[]"


@pytest.mark.parametrize("method", ["nf4", "int8"])
@pytest.mark.parametrize("damage", ["truncated", "nan", "nan scale", "shuffled", "missing", "not quantized"])
def test_a_spoiled_copy_is_not_shown(quantized: dict[str, Ran], tmp_path: Path, method: str, damage: str) -> None:
    from desktop_app.workers.bitsandbytes_format import FourBitFormat, Int8Format
    from desktop_app.workers.quantized_check import QuantizedCheck

    folder = tmp_path / "copy"
    shutil.copytree(quantized[method].result, folder)
    tensors = load_file(folder / WEIGHTS)
    layers = [f"model.layers.{number}.mlp.up_proj.weight" for number in (0, 1)]
    if damage == "nan":
        tensors["model.norm.weight"][0] = float("nan")
    elif damage == "nan scale":
        scale = f"{layers[0]}.nested_absmax" if method == "nf4" else layers[0].replace("weight", "SCB")
        tensors[scale][0] = float("nan")
    elif damage == "shuffled":
        tensors[layers[0]], tensors[layers[1]] = tensors[layers[1]], tensors[layers[0]]
    elif damage == "missing":
        del tensors["model.norm.weight"]
    elif damage == "not quantized":
        tensors = load_file(DEMO_MODEL / WEIGHTS)
    save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})
    if damage == "truncated":
        (folder / WEIGHTS).write_bytes((folder / WEIGHTS).read_bytes()[:-5000])
    with pytest.raises(StorageError):
        format_ = FourBitFormat(kind="nf4", block_size=64) if method == "nf4" else Int8Format()
        QuantizedCheck(DEMO_MODEL, folder, format_, torch.bfloat16, ["lm_head"]).compare()


def test_a_copy_measured_after_it_was_written_is_near_the_original(quantized: dict[str, Ran], tmp_path: Path) -> None:
    ran = run_job(
        tmp_path, kind="evaluate", model=str(DEMO_MODEL), variants=[str(each.result) for each in quantized.values()],
        data=str(DEMO_DATA), max_rows=24, threads=1, questions=0, device="cpu",
    )  # fmt: skip
    report = EvaluationReport.model_validate_json((ran.result / "report.json").read_bytes())
    nf4, int8 = report.models[1:]
    assert nf4.mean_kl and int8.mean_kl and int8.top1_agreement
    assert 0 < int8.mean_kl.value < nf4.mean_kl.value < 0.1
    assert nf4.held_as == "NF4 (4 bits)"
    assert int8.top1_agreement.value >= 0.95
