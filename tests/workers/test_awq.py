"""AWQ: what is refused in words, how its layers are read back; the run itself where gptqmodel is.

`build/dev.py extra gptq` installs it; the fast tests do without. The run is one on the processor: gptqmodel's kernel in
plain torch, which the job asks for, is the same on a GPU, where nothing of this has run yet.
"""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from desktop_app import extras
from desktop_app.domain.spec import parse_spec
from desktop_app.errors import ModelError, SpecError, StorageError
from desktop_app.job_folder import Request
from desktop_app.process import helper_environment
from desktop_app.result_folder import manifest_problems
from desktop_app.workers import loading
from desktop_app.workers.awq import layers_to_keep
from desktop_app.workers.awq_format import AwqFormat, awq_format, error_beside_scales
from desktop_app.workers.run import run_worker
from desktop_app.workers.tensor_source import TensorSource
from tests.workers.random_models import write_random_model
from tests.workers.running import DEMO_DATA, DEMO_MODEL, Ran, fresh_python, new_job, quantization, run_job, when
from tests.workers.test_gptq import LOOK, needs_extra

pytestmark = pytest.mark.filterwarnings("ignore")
GROUP, INPUTS, OUTPUTS = 32, 64, 64
PLACES = (0, 4, 1, 5, 2, 6, 3, 7)  # where each of eight outputs lies in a word


def test_it_takes_all_layers_but_the_output_layer_or_none(tmp_path: Path) -> None:
    assert layers_to_keep(loading.skeleton(DEMO_MODEL), 32) == ["lm_head"]
    with pytest.raises(
        ModelError, match=r"takes all layers or none, and model\.layers\.0\.self_attn\.q_proj has 192 inputs"
    ):
        layers_to_keep(loading.skeleton(DEMO_MODEL), 128)
    turned = write_random_model(tmp_path / "gpt2", "gpt2")
    with pytest.raises(ModelError, match="AWQ cannot take"):
        layers_to_keep(loading.skeleton(turned), 32)
    for wrong, said in (({"group_size": 256}, "groups of 32, 64, 128"), ({"skip_modules": ["q_proj"]}, "all layers")):
        with pytest.raises(SpecError, match=said):
            parse_spec({"kind": "quantize", "model": "/m", "method": "awq", **wrong})


def packed(values: torch.Tensor) -> torch.Tensor:
    """Write (n, 8 m) values of four bits into (n, m) words; the slow, obvious way."""
    words = torch.zeros(len(values), values.shape[1] // 8, dtype=torch.int64)
    for output in range(values.shape[1]):
        words[:, output // 8] |= values[:, output].long() << 4 * PLACES[output % 8]
    return torch.where(words >= 2**31, words - 2**32, words).int()


def test_packed_weights_are_read_back(tmp_path: Path) -> None:
    torch.manual_seed(0)
    values, zeros = torch.randint(0, 16, (INPUTS, OUTPUTS)), torch.randint(0, 16, (INPUTS // GROUP, OUTPUTS))
    scales = torch.rand(INPUTS // GROUP, OUTPUTS).bfloat16()
    group = torch.arange(INPUTS) // GROUP
    wanted = ((values - zeros[group]) * scales[group].float()).T
    save_file({"p.qweight": packed(values), "p.qzeros": packed(zeros), "p.scales": scales},
              tmp_path / "model.safetensors")  # fmt: skip
    with TensorSource(tmp_path) as written:
        read = AwqFormat(group_size=GROUP).opened("p", (OUTPUTS, INPUTS), written)
        assert torch.equal(read(0, OUTPUTS * INPUTS), wanted)
        assert torch.equal(read(3 * INPUTS, 5 * INPUTS), wanted[3:8])
        with pytest.raises(StorageError, match=r"p.qzeros has the shape"):
            AwqFormat(group_size=64).opened("p", (OUTPUTS, INPUTS), written)
        with pytest.raises(StorageError, match=r"q.qweight is missing"):
            AwqFormat(group_size=GROUP).opened("q", (OUTPUTS, INPUTS), written)


def test_scales_that_were_moved_are_no_error_and_other_weights_are() -> None:
    torch.manual_seed(0)
    wanted = torch.randn(OUTPUTS, INPUTS)
    moved = wanted * (torch.rand(INPUTS) + 0.2) * (torch.rand(OUTPUTS, 1) + 0.2)
    assert error_beside_scales(moved, wanted) < 1e-4
    assert 0.05 < error_beside_scales(moved + 0.03 * torch.randn_like(moved), wanted) < 0.3
    assert error_beside_scales(torch.randn(OUTPUTS, INPUTS), wanted) > 0.9
    assert error_beside_scales(moved.roll(1, dims=1), wanted) > 0.9, "columns exchanged"


@pytest.mark.parametrize("wrong", [{"bits": 8}, {"group_size": 128}, {"version": "gemv"}, {"zero_point": False}])
def test_the_format_is_that_of_the_config(wrong: dict[str, Any], tmp_path: Path) -> None:
    said = {"quant_method": "awq", "bits": 4, "group_size": 32, "version": "gemm", "zero_point": True}
    for config in (said, said | wrong):
        (tmp_path / "config.json").write_text(json.dumps({"quantization_config": config}), encoding="utf-8")
        if config is said:
            assert awq_format(tmp_path, 32) == AwqFormat(group_size=32)
        else:
            with pytest.raises(StorageError, match=r"config.json says"):
                awq_format(tmp_path, 32)


@pytest.mark.skipif(extras.GPTQ.is_here, reason="gptqmodel is installed")
def test_without_the_extra_a_job_says_how_to_get_it(tmp_path: Path) -> None:
    ran = run_job(tmp_path, **quantization("awq"))
    assert (ran.code, ran.last.error) == (2, "spec")
    assert ran.last.message == (
        "method: AWQ needs gptqmodel, which is not installed; install it by python3 build/dev.py extra gptq."
    )


@needs_extra
@pytest.mark.night
def test_a_copy_is_near_the_original_and_opens_in_plain_transformers(tmp_path: Path) -> None:
    ran = run_job(tmp_path, **quantization("awq", group_size=32))
    text = DEMO_MODEL.parent / "calibration.txt"
    command = fresh_python(LOOK, str(DEMO_MODEL), str(ran.result), str(text))
    out = subprocess.run(command, capture_output=True, text=True, env=helper_environment(1), check=True)
    found = json.loads(out.stdout.strip().splitlines()[-1])
    assert found["wrong"] == []
    assert 0 <= found["kl"] < 0.03
    assert found["tokens"] == 64
    assert ran.last.summary["ratio"] < 0.45
    assert ran.last.summary["quantized_layers"] == 28
    assert "mean KL divergence" in ran.last.checks["reload"]
    assert manifest_problems(ran.result) == []
    again = run_job(tmp_path, **{**quantization("awq"), "model": str(ran.result)})
    assert again.last.error == "model" and "quantized already" in again.last.message
    measured = run_job(
        tmp_path, kind="evaluate", model=str(DEMO_MODEL), variants=[str(ran.result)], data=str(DEMO_DATA), max_rows=8,
        threads=1, questions=1, device="cpu", max_new_tokens=8,
    )  # fmt: skip
    report = json.loads((measured.result / "report.json").read_text(encoding="utf-8"))
    assert (report["models"][1]["format"], report["models"][1]["held_as"]) == ("AWQ 4 bit", "AWQ (4 bits)")
    assert 0 < report["models"][1]["mean_kl"]["value"] < 0.05


@needs_extra
@pytest.mark.night
@pytest.mark.parametrize("kind", ["llama", "qwen3"])
def test_other_architectures_with_untied_and_tied_embeddings(kind: str, tmp_path: Path) -> None:
    from desktop_app.workers.model_companions import copy_companions

    sizes: dict[str, Any] = {"num_hidden_layers": 2, "hidden_size": 128, "intermediate_size": 256, "vocab_size": 1024}
    model = write_random_model(tmp_path / kind, kind, **sizes)
    copy_companions(DEMO_MODEL, model)
    ran = run_job(tmp_path, **{**quantization("awq", group_size=64), "model": str(model)})
    assert "mean KL divergence" in ran.last.checks["reload"]


@needs_extra
@pytest.mark.night
def test_what_fails_in_a_thread_of_the_library_is_told_in_words(tmp_path: Path) -> None:
    """It would end the whole process; Gemma 3, whose blocks turn positions by two bases, is one that it cannot take."""
    from desktop_app.workers.model_companions import copy_companions

    model = write_random_model(tmp_path / "gemma3", "gemma3", vocab_size=1024)
    copy_companions(DEMO_MODEL, model)
    ran = run_job(tmp_path, **{**quantization("awq", group_size=32), "model": str(model)})
    assert (ran.code, ran.last.error) == (2, "model")
    assert ran.last.message.startswith("AWQ's library cannot take this model: ")


@needs_extra
@pytest.mark.night
def test_it_is_cancelled_between_blocks(tmp_path: Path) -> None:
    job = new_job(tmp_path, **quantization("awq", group_size=32))
    watch = when(lambda: any(event.kind == "progress" and event.unit == "block"
                             for event in job.read_events().events), lambda: job.ask(Request.CANCEL))  # fmt: skip
    ran = Ran(job, run_worker(job.path))
    watch.join()
    assert (ran.code, ran.last.kind) == (130, "cancelled")
    assert not (job.path / "result").exists()
