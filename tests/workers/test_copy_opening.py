"""A finished copy is opened by a process of its own: whole, or layer by layer; and what becomes of a bad one."""

import shutil
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig

from desktop_app.domain.quantize_method import QuantizeMethod
from desktop_app.domain.quantize_spec import QuantizeSpec
from desktop_app.errors import StorageError
from desktop_app.job_folder import Request
from desktop_app.workers import reload_check
from desktop_app.workers.copy_weights import CopyWeights
from desktop_app.workers.kept_layers import linear_shapes
from desktop_app.workers.layer_by_layer import LayerByLayer
from desktop_app.workers.loading import load_model, skeleton
from desktop_app.workers.quantized_format import format_of
from desktop_app.workers.reload_check import WrittenCopy, reloaded
from desktop_app.workers.reporter import Reporter
from desktop_app.workers.run import run_worker
from desktop_app.workers.tensor_source import TensorSource
from tests.fakes.own_children import own_children
from tests.workers.running import DEMO_MODEL, Ran, new_job, quantization, run_job, when

pytestmark = pytest.mark.filterwarnings("ignore")
CPU = torch.device("cpu")
IDS = torch.arange(32)[None]


def layers() -> dict[str, tuple[int, int]]:
    return {name: shape for name, shape in linear_shapes(skeleton(DEMO_MODEL)).items() if name != "lm_head"}


def written_copy(folder: Path, method: QuantizeMethod) -> WrittenCopy:
    spec = QuantizeSpec(model=str(DEMO_MODEL), method=method)
    return WrittenCopy(
        spec=spec,
        method=method,
        source=DEMO_MODEL,
        folder=folder,
        where=CPU,
        dtype=torch.bfloat16,
        layers=layers(),
    )


@pytest.fixture
def reporter(tmp_path: Path) -> Any:
    reporter = Reporter(new_job(tmp_path, **quantization("int8")))
    yield reporter
    reporter.close()


@pytest.mark.parametrize("method", ["nf4", "int8"])
def test_layer_by_layer_computes_what_the_whole_copy_does(method: QuantizeMethod, quantized: dict[str, Ran]) -> None:
    folder = quantized[method].result
    spec = QuantizeSpec(model=str(DEMO_MODEL), method=method)
    with TensorSource(folder) as written:
        weights = CopyWeights(written, format_of(spec, method, folder), layers())
        told: list[int] = []
        model = LayerByLayer(
            AutoConfig.from_pretrained(DEMO_MODEL), weights, CPU, lambda done, total: told.append(done)
        )
        found = model.logits(IDS)
    whole = load_model(folder, CPU, torch.float32)
    with torch.no_grad():
        wanted = whole(input_ids=IDS).logits[0].float()
    assert told == list(range(len(told))) and len(told) > 1
    assert (found - wanted).abs().max() < 0.05 * wanted.abs().max()
    assert (found.argmax(-1) == wanted.argmax(-1)).float().mean() > 0.9


def test_what_does_not_fit_into_memory_is_computed_layer_by_layer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    little = psutil.virtual_memory()._replace(available=500_000_000)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: little)
    ran = run_job(tmp_path, **quantization("int8", further_methods=["gguf_q8_0"]))
    for method in ("int8", "gguf_q8_0"):
        said = ran.last.checks[f"{method}: reload"]
        assert said.startswith("computed layer by layer in a process of its own")
        assert "not whole: that takes about 0.5 GB, and 0.5 are free" in said


def test_a_process_that_the_system_ends_for_its_memory_takes_no_job_along(
    quantized: dict[str, Ran], reporter: Reporter
) -> None:
    copy = written_copy(quantized["nf4"].result, "nf4")
    assert reloaded(copy, reporter)["reload"].startswith("loads completely in a process of its own")
    openers = own_children("copy_opening")
    assert len(openers) == 1
    openers[0].kill()
    said = reloaded(copy, reporter)["reload"]
    assert said.startswith("computed layer by layer")
    assert said.endswith("not whole: the computer's memory became full")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"model.layers.0.mlp.up_proj.SCB": torch.full((1,), torch.nan)}, "its logits are not finite"),
        ({"model.layers.99.mlp.up_proj.weight": torch.zeros(1)}, "1 weights that its config does not describe"),
        ({"model.norm.weight": None}, "lacks 1 weights"),
    ],
)
def test_a_bad_copy_is_refused(
    changes: dict[str, torch.Tensor | None], words: str, quantized: dict[str, Ran], reporter: Reporter, tmp_path: Path
) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(quantized["int8"].result, folder)
    tensors = load_file(folder / "model.safetensors")
    for name, values in changes.items():
        if values is None:
            del tensors[name]
        else:
            tensors[name] = values.expand(tensors[name].shape).clone() if name in tensors else values
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(StorageError, match=words):
        reloaded(written_copy(folder, "int8"), reporter)


@pytest.mark.night
def test_cancelled_while_a_copy_is_opened_nothing_goes_on(tmp_path: Path) -> None:
    reload_check._end_opener()  # its start takes seconds: time to cancel in
    job = new_job(tmp_path, **quantization("int8"))
    watch = when(
        lambda: any(event.kind == "stage" and event.text == "Loading the result" for event in job.read_events().events),
        lambda: job.ask(Request.CANCEL),
    )
    ran = Ran(job, run_worker(job.path))
    watch.join()
    assert (ran.code, ran.last.kind) == (130, "cancelled")
    assert own_children("copy_opening") == []
    assert not (job.path / "result").exists()
