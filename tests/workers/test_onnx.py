"""ONNX: a graph that plain onnxruntime runs, near its original, with no weight lost, and refusals in words."""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch
from onnx import numpy_helper

from desktop_app.domain.evaluation import EvaluationReport
from desktop_app.errors import ModelError, StorageError
from desktop_app.job_folder import JobFolder, Request
from desktop_app.process import helper_environment
from desktop_app.result_folder import manifest_problems
from desktop_app.workers.model_companions import copy_companions
from desktop_app.workers.onnx.check import check_copy
from desktop_app.workers.onnx.converter import _check_export, _not_exportable
from desktop_app.workers.onnx.session import OnnxModel
from desktop_app.workers.reference import Reference
from desktop_app.workers.reporter import Reporter
from desktop_app.workers.run import run_worker
from tests.workers.random_models import write_random_model
from tests.workers.running import DEMO_DATA, DEMO_MODEL, Ran, fresh_python, new_job, quantization, run_job, when

pytestmark = pytest.mark.filterwarnings("ignore")
KEPT = "model.layers.3.mlp.down_proj"
LOOK = """
import json, sys
from pathlib import Path
import numpy as np, onnxruntime, torch
from transformers import AutoModelForCausalLM, AutoTokenizer
original, graph, text = sys.argv[1:]
ids = AutoTokenizer.from_pretrained(original)(Path(text).read_text(encoding="utf-8")[:3000]).input_ids[:256]
with torch.no_grad():
    model = AutoModelForCausalLM.from_pretrained(original, dtype=torch.float32)
    wanted = model(input_ids=torch.tensor([ids])).logits.log_softmax(-1)[0]
session = onnxruntime.InferenceSession(graph)
def logits(texts):
    longest = max(map(len, texts))
    tokens = np.array([each + [0] * (longest - len(each)) for each in texts], np.int64)
    mask = np.array([[1] * len(each) + [0] * (longest - len(each)) for each in texts], np.int64)
    return torch.from_numpy(session.run(["logits"], {"input_ids": tokens, "attention_mask": mask})[0])
got = logits([ids])[0].log_softmax(-1)
# activations get one scale for all texts, so what stands beside a text moves it a little
beside = logits([ids[:40], ids[100:180]])[0, :40].log_softmax(-1)
text = ids[:8]
for _ in range(64):
    text = [*text, int(logits([text])[0, -1].argmax())]
def kl(one, other): return float((one.exp() * (one - other)).sum(-1).mean())
print(json.dumps({"kl": kl(wanted, got), "beside": kl(wanted[:40], beside), "tokens": len(text) - 8}))
"""


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    return run_job(tmp_path_factory.mktemp("onnx"), **quantization("onnx_int8", skip_modules=(KEPT,)))


def test_plain_onnxruntime_runs_it_near_the_original(ran: Ran) -> None:
    text = DEMO_MODEL.parent / "calibration.txt"
    command = fresh_python(LOOK, str(DEMO_MODEL), str(ran.result / "model.onnx"), str(text))
    out = subprocess.run(command, capture_output=True, text=True, env=helper_environment(1), check=True)
    found = json.loads(out.stdout.strip().splitlines()[-1])
    assert 0 <= found["kl"] < 0.03
    assert 0 <= found["beside"] < 0.03
    assert found["tokens"] == 64
    assert ran.last.summary["ratio"] < 0.65
    assert ran.last.summary["quantized_layers"] == 27
    assert {"names and shapes", "format", "relative error", "size", "reload"} <= ran.last.checks.keys()
    assert manifest_problems(ran.result) == []
    assert not list(ran.result.glob(".*")), "nothing is left of the work"
    assert (ran.result / "tokenizer.json").read_bytes() == (DEMO_MODEL / "tokenizer.json").read_bytes()


def test_weights_take_seven_bits_and_what_is_kept_sixteen(ran: Ran) -> None:
    """With all eight bits onnxruntime's sums overflow on processors without VNNI, silently."""
    held = {each.name: each for each in onnx.load(str(ran.result / "model.onnx")).graph.initializer}
    packed = [numpy_helper.to_array(each) for name, each in held.items() if name.endswith("weight_quantized")]
    assert len(packed) == 27
    assert max(abs(int(values.min())) for values in packed) <= 64 and max(int(each.max()) for each in packed) <= 64
    assert held[f"{KEPT}.weight.16"].data_type == onnx.TensorProto.BFLOAT16
    assert f"{KEPT}.weight_quantized" not in held


def test_it_is_measured_beside_its_original(ran: Ran, tmp_path: Path) -> None:
    measured = run_job(
        tmp_path, kind="evaluate", model=str(DEMO_MODEL), variants=[str(ran.result)], data=str(DEMO_DATA), max_rows=8,
        threads=1, questions=1, device="cpu", max_new_tokens=8,
    )  # fmt: skip
    report = EvaluationReport.model_validate_json((measured.result / "report.json").read_bytes())
    copy = report.models[1]
    assert (copy.format, copy.held_as, copy.note) == ("ONNX int8", "ONNX", "")
    assert copy.mean_kl and 0 < copy.mean_kl.value < 0.05
    assert copy.answers[0].tokens > 0
    refused = run_job(tmp_path, kind="evaluate", model=str(ran.result), data=str(DEMO_DATA), device="cpu")
    assert refused.last.error == "model"
    assert "ONNX graph" in refused.last.message


@pytest.mark.parametrize("damage", ["truncated", "exchanged", "nan", "not quantized"])
def test_a_spoiled_graph_is_not_shown(ran: Ran, tmp_path: Path, damage: str) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(ran.result, folder)
    _DAMAGES[damage](folder)
    reporter = Reporter(new_job(tmp_path, **quantization("onnx_int8")))
    logs = torch.full((4, 1024), 1 / 1024).log()
    reference = Reference(ids=torch.arange(4)[None], logs=logs)
    with pytest.raises(StorageError, match="not the quantized original"):
        check_copy(DEMO_MODEL, ["lm_head", KEPT], reference, torch.bfloat16, reporter)(folder)
    reporter.close()


def _truncated(folder: Path) -> None:
    file = folder / "model.onnx.data"
    file.write_bytes(file.read_bytes()[:-5000])


def _changed(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    model = onnx.load(str(folder / "model.onnx"))
    change({each.name: each for each in model.graph.initializer})
    (folder / "model.onnx.data").unlink()
    onnx.save_model(model, str(folder / "model.onnx"))


def _exchanged(folder: Path) -> None:
    def change(held: dict[str, Any]) -> None:
        one, other = (held[f"model.layers.{number}.mlp.up_proj.weight_quantized"] for number in (0, 1))
        one.raw_data, other.raw_data = other.raw_data, one.raw_data

    _changed(folder, change)


def _nan(folder: Path) -> None:
    def change(held: dict[str, Any]) -> None:
        norm = held["model.norm.weight.16"]
        norm.raw_data = b"\xff\xff" * (len(norm.raw_data) // 2)

    _changed(folder, change)


def _not_quantized(folder: Path) -> None:
    _changed(folder, lambda held: setattr(held["model.layers.0.mlp.up_proj.weight_quantized"], "name", "other"))


_DAMAGES = {"truncated": _truncated, "exchanged": _exchanged, "nan": _nan, "not quantized": _not_quantized}


def test_a_graph_that_computes_something_else_is_refused(ran: Ran) -> None:
    reference = Reference(ids=torch.arange(4)[None], logs=torch.full((4, 1024), 1 / 1024).log())
    with pytest.raises(ModelError, match="does not compute what the model does"):
        _check_export(ran.result / "model.onnx", reference)


def test_what_the_exporter_cannot_follow_is_told_by_its_first_cause() -> None:
    error = RuntimeError("step 3 of 3")
    error.__cause__ = ValueError("No function for grouped_mm")
    assert (
        "cannot be exported to ONNX: No function for grouped_mm"
        in _not_exportable(torch.nn.Linear(1, 1), error).message
    )


def test_a_graph_of_another_kind_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"no graph")
    with pytest.raises(ModelError, match="cannot be loaded by onnxruntime"):
        OnnxModel(tmp_path / "model.onnx")
    cache = onnx.helper.make_tensor_value_info("past_key_values.0.key", onnx.TensorProto.FLOAT, [1])
    logits = onnx.helper.make_tensor_value_info("logits", onnx.TensorProto.FLOAT, [1])
    node = onnx.helper.make_node("Identity", [cache.name], [logits.name])
    graph = onnx.helper.make_model(
        onnx.helper.make_graph([node], "cached", [cache], [logits]), ir_version=10,
        opset_imports=[onnx.helper.make_opsetid("", 18)],
    )  # fmt: skip
    onnx.save_model(graph, str(tmp_path / "model.onnx"))
    with pytest.raises(ModelError, match="it wants past_key_values"):
        OnnxModel(tmp_path / "model.onnx")


def test_cancelled_in_the_midst_of_the_export_it_ends_and_leaves_nothing(tmp_path: Path) -> None:
    job = new_job(tmp_path, **quantization("onnx_int8"))
    watch = when(lambda: "Exporting the graph" in said(job), lambda: job.ask(Request.CANCEL))
    ran = Ran(job, run_worker(job.path))
    watch.join()
    assert (ran.code, ran.last.kind) == (130, "cancelled")
    assert said(job)[-1] == "Exporting the graph", "it did not wait for the export's end"
    assert not (job.path / "result").exists()
    assert not list(job.path.rglob("*.onnx*")), "the graph in 32 bits is twice the model"


def said(job: JobFolder) -> list[str]:
    return [event.text for event in job.read_events().events if event.kind == "stage"]


@pytest.mark.night
@pytest.mark.parametrize("kind", ["llama", "qwen3", "gemma3", "gpt2", "mixtral"])
def test_other_architectures_are_written_or_refused_in_words(kind: str, tmp_path: Path) -> None:
    folder = write_random_model(tmp_path / kind, kind)
    copy_companions(DEMO_MODEL, folder)
    ran = run_job(tmp_path, **quantization("onnx_int8", model=str(folder), keep_first_layers=1))
    if kind == "mixtral":
        assert ran.last.error == "model"
        assert "cannot be exported to ONNX" in ran.last.message
        return
    assert ran.last.kind == "succeeded", ran.last
    assert ran.last.summary["quantized_layers"] >= 4
