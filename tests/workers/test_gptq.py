"""GPTQ: which layers are taken, what is refused in words, what the check notices; the run itself where gptqmodel is.

`build/dev.py extra gptq` installs it; the fast tests do without.
"""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from desktop_app import extras
from desktop_app.domain.quantize_spec import QuantizeSpec
from desktop_app.errors import ModelError, SpecError, StorageError
from desktop_app.job_folder import Request
from desktop_app.process import helper_environment
from desktop_app.result_folder import manifest_problems
from desktop_app.workers import loading
from desktop_app.workers.gptq import _unlike_blocks, grouped, modules_to_quantize
from desktop_app.workers.gptq_format import GptqFormat, gptq_format, unpacked
from desktop_app.workers.tensor_source import TensorSource
from tests.workers.running import DEMO_DATA, DEMO_MODEL, Ran, fresh_python, new_job, quantization, run_job, when

pytestmark = pytest.mark.filterwarnings("ignore")
GROUP, INPUTS, OUTPUTS = 32, 64, 32


def wanted(**more: Any) -> QuantizeSpec:
    return QuantizeSpec(model=str(DEMO_MODEL), method="gptq", group_size=32, **more)


def test_layers_that_read_the_same_are_quantized_together() -> None:
    modules = modules_to_quantize(loading.skeleton(DEMO_MODEL), wanted())
    assert modules.blocks == 4
    assert [[name.rpartition(".")[2] for name in group] for group in modules.groups] == [
        ["q_proj", "k_proj", "v_proj"], ["o_proj"], ["gate_proj", "up_proj"], ["down_proj"],
    ]  # fmt: skip
    assert (modules.kept, modules.odd) == (["lm_head"], [])
    assert grouped(["attn.query_key_value", "mlp.fc"]) == [["attn.query_key_value"], ["mlp.fc"]]


def test_what_is_kept_is_kept_in_all_blocks() -> None:
    bare = loading.skeleton(DEMO_MODEL)
    modules = modules_to_quantize(bare, wanted(skip_modules=("*.down_proj",)))
    assert all("mlp.down_proj" not in group for group in modules.groups)
    assert len(modules.kept) == 5
    with pytest.raises(SpecError, match=r"keeps mlp.down_proj in all blocks or in none"):
        modules_to_quantize(bare, wanted(skip_modules=("layers.0.mlp.down_proj",)))
    odd = modules_to_quantize(bare, QuantizeSpec(model=str(DEMO_MODEL), method="gptq", group_size=128))
    assert {name.rpartition(".")[2] for name in odd.odd} == {
        "q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj",
    }  # fmt: skip
    with pytest.raises(ModelError, match="in groups of 1024"):
        modules_to_quantize(bare, QuantizeSpec(model=str(DEMO_MODEL), method="gptq", group_size=1024))


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({}, ""),
        ({"layer_types": ["full_attention"] * 2}, ""),
        ({"layer_types": ["full_attention", "sliding_attention"], "sliding_window": 4096}, ""),
        ({"layer_types": ["full_attention", "sliding_attention"], "sliding_window": 128}, "less than 512 tokens"),
        ({"layer_types": ["full_attention", "linear_attention"]}, "several kinds"),
        (
            {
                "layer_types": ["full_attention", "sliding_attention"],
                "sliding_window": 4096,
                "rope_parameters": {"full_attention": {}, "sliding_attention": {}},
            },
            "several bases",
        ),
    ],
)
def test_models_whose_blocks_read_unlike_things_are_told_apart(config: dict[str, Any], reason: str) -> None:
    """optimum gives the mask and positions of the first block to all, without a word."""
    from types import SimpleNamespace

    said = _unlike_blocks(SimpleNamespace(**config))
    assert reason in said if reason else said == ""


def packed(values: torch.Tensor, bits: int) -> torch.Tensor:
    """Write (32 n, m) values as a stream of bits, lowest first, into (bits n, m) words; the slow, obvious way."""
    words = torch.zeros(len(values) // 32 * bits, values.shape[1], dtype=torch.int64)
    for row, column in ((row, column) for row in range(len(values)) for column in range(values.shape[1])):
        for bit in range(bits):
            place = row * bits + bit
            words[place // 32, column] |= (int(values[row, column]) >> bit & 1) << place % 32
    return torch.where(words >= 2**31, words - 2**32, words).int()


def layer(bits: int, zero: int) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """Return a packed layer and the weights that it stands for, (outputs, inputs)."""
    torch.manual_seed(bits)
    values = torch.randint(0, 2**bits, (INPUTS, OUTPUTS))
    scales = torch.rand(INPUTS // GROUP, OUTPUTS).half()
    groups = torch.arange(INPUTS) // GROUP
    zeros = torch.full((OUTPUTS, INPUTS // GROUP), zero)
    tensors = {
        "proj.qweight": packed(values, bits),
        "proj.qzeros": packed(zeros, bits).T.contiguous(),
        "proj.scales": scales,
        "proj.g_idx": groups.int(),
    }
    return tensors, ((values - 2 ** (bits - 1)) * scales.float()[groups]).T


@pytest.mark.parametrize("bits", [3, 4, 8])
def test_packed_weights_are_read_back(bits: int, tmp_path: Path) -> None:
    tensors, weights = layer(bits, 2 ** (bits - 1))
    assert torch.equal(packed(unpacked(tensors["proj.qweight"].view(-1, bits, OUTPUTS), bits).view(-1, OUTPUTS), bits),
                       tensors["proj.qweight"])  # fmt: skip
    save_file(tensors, tmp_path / "model.safetensors")
    with TensorSource(tmp_path) as written:
        read = GptqFormat(bits=bits, zero_offset=0).opened("proj", (OUTPUTS, INPUTS), written)
        assert torch.equal(read(0, OUTPUTS * INPUTS), weights)
        assert torch.equal(read(3 * INPUTS, 5 * INPUTS), weights[3:8])


def test_zeros_of_the_other_version_of_the_format_are_noticed(tmp_path: Path) -> None:
    """`GPTQQuantizer.save` writes the one and says the other: off by one, without a word."""
    tensors, _ = layer(4, 7)
    save_file(tensors, tmp_path / "model.safetensors")
    with TensorSource(tmp_path) as written:
        GptqFormat(bits=4, zero_offset=1).opened("proj", (OUTPUTS, INPUTS), written)
        with pytest.raises(StorageError, match="other zeros than its format says"):
            GptqFormat(bits=4, zero_offset=0).opened("proj", (OUTPUTS, INPUTS), written)
        with pytest.raises(StorageError, match="words of 3-bit values"):
            GptqFormat(bits=3, zero_offset=0).opened("proj", (OUTPUTS, INPUTS), written)
        with pytest.raises(StorageError, match=r"other.qweight is missing"):
            GptqFormat(bits=4, zero_offset=1).opened("other", (OUTPUTS, INPUTS), written)


@pytest.mark.parametrize(
    ("said", "offset"),
    [
        ({"bits": 4, "format": "gptq_v2", "checkpoint_format": "gptq_v2"}, 0),
        ({"bits": 4}, 1),
        ({"bits": 8}, None),
        ({"bits": 4, "format": "gptq_v2", "checkpoint_format": "gptq"}, None),
        ({"bits": 4, "format": "marlin"}, None),
    ],
)
def test_the_format_is_that_of_the_config(said: dict[str, Any], offset: int | None, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"quantization_config": said}), encoding="utf-8")
    if offset is None:
        with pytest.raises(StorageError, match=r"config.json says"):
            gptq_format(tmp_path, 4)
    else:
        assert gptq_format(tmp_path, 4) == GptqFormat(bits=4, zero_offset=offset)


@pytest.mark.skipif(extras.GPTQ.is_here, reason="gptqmodel is installed")
def test_without_the_extra_a_job_says_how_to_get_it(tmp_path: Path) -> None:
    ran = run_job(tmp_path, **quantization("gptq"))
    assert (ran.code, ran.last.error) == (2, "spec")
    assert ran.last.message == (
        "method: GPTQ needs gptqmodel, which is not installed; install it by python3 build/dev.py extra gptq."
    )
    assert not (ran.folder.path / "result").exists()


LOOK = """
import json, sys
from pathlib import Path
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
original, result, text = sys.argv[1:]
tokenizer = AutoTokenizer.from_pretrained(result)
ids = tokenizer(Path(text).read_text(encoding="utf-8")[:3000], return_tensors="pt").input_ids[:, :256]
def logs(model):
    with torch.no_grad():
        return model(input_ids=ids).logits.float().log_softmax(-1)[0]
wanted = logs(AutoModelForCausalLM.from_pretrained(original, dtype=torch.bfloat16))
model, info = AutoModelForCausalLM.from_pretrained(result, output_loading_info=True)
got = logs(model)
made = model.generate(ids[:, :8], max_new_tokens=64, min_new_tokens=64, do_sample=False)
wrong = [str(key) for name in ("missing_keys", "mismatched_keys") for key in info[name]]
print(json.dumps({"kl": float((wanted.exp() * (wanted - got)).sum(-1).mean()), "wrong": wrong,
                  "tokens": made.shape[1] - 8}))
"""
needs_extra = pytest.mark.skipif(not extras.GPTQ.is_here, reason="needs build/dev.py extra gptq")


@needs_extra
@pytest.mark.night
@pytest.mark.parametrize(
    ("settings", "most_kl", "most_ratio"),
    [
        ({}, 0.02, 0.45),
        ({"bits": 3, "group_size": -1}, 0.2, 0.4),
        ({"bits": 8, "act_order": True}, 0.001, 0.7),
    ],
)
def test_a_copy_is_near_the_original_and_opens_in_plain_transformers(
    settings: dict[str, Any], most_kl: float, most_ratio: float, tmp_path: Path
) -> None:
    ran = run_job(tmp_path, **quantization("gptq", **{"group_size": 32, **settings}))
    text = DEMO_MODEL.parent / "calibration.txt"
    command = fresh_python(LOOK, str(DEMO_MODEL), str(ran.result), str(text))
    out = subprocess.run(command, capture_output=True, text=True, env=helper_environment(1), check=True)
    found = json.loads(out.stdout.strip().splitlines()[-1])
    assert found["wrong"] == []
    assert 0 <= found["kl"] < most_kl
    assert found["tokens"] == 64
    assert ran.last.summary["ratio"] < most_ratio
    assert ran.last.summary["quantized_layers"] == 28
    assert "mean KL divergence" in ran.last.checks["reload"]
    assert manifest_problems(ran.result) == []
    said = (ran.result / "config.json").read_text(encoding="utf-8")
    assert json.loads(said)["quantization_config"]["dataset"] is None, "the text would be given away with the model"
    again = run_job(tmp_path, **{**quantization("gptq"), "model": str(ran.result)})
    assert again.last.error == "model" and "quantized already" in again.last.message


@needs_extra
@pytest.mark.night
def test_it_is_cancelled_between_layers_and_measured_beside_its_original(tmp_path: Path) -> None:
    job = new_job(tmp_path, **quantization("gptq", group_size=32))
    watch = when(lambda: any(event.kind == "progress" and event.unit == "layer group"
                             for event in job.read_events().events), lambda: job.ask(Request.CANCEL))  # fmt: skip
    from desktop_app.workers.run import run_worker

    ran = Ran(job, run_worker(job.path))
    watch.join()
    assert (ran.code, ran.last.kind) == (130, "cancelled")
    assert not (job.path / "result").exists()
    for request in Request:
        job.take_back(request)
    ran = Ran(job, run_worker(job.path))
    measured = run_job(
        tmp_path, kind="evaluate", model=str(DEMO_MODEL), variants=[str(ran.result)], data=str(DEMO_DATA), max_rows=8,
        threads=1, questions=1, device="cpu", max_new_tokens=8,
    )  # fmt: skip
    report = json.loads((measured.result / "report.json").read_text(encoding="utf-8"))
    assert (report["models"][1]["format"], report["models"][1]["held_as"]) == ("GPTQ 4 bit", "GPTQ (4 bits)")
    assert 0 < report["models"][1]["mean_kl"]["value"] < 0.05
