"""An importance matrix made layer by layer is that of the whole model, and it changes what is written."""

from pathlib import Path

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from desktop_app.domain.quantize_spec import QuantizeSpec
from desktop_app.training_data.examples import read_examples
from desktop_app.training_data.tokenization import Tokenization
from desktop_app.workers.gguf.importance import importance_of
from desktop_app.workers.reporter import Reporter
from desktop_app.workers.tensor_source import TensorSource
from desktop_app.workers.token_rows import tokenized
from tests.workers.gguf.models import make_model
from tests.workers.running import new_job, run_job

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("text") / "text.txt"
    file.write_text("Where is the hammer? It is in the barn. " * 40, encoding="utf-8")
    return file


@pytest.mark.parametrize("kind", ["llama", "gemma3", "phi3 long"])
def test_importance_of_columns_is_that_of_the_whole_model(kind: str, text: Path, tmp_path: Path) -> None:
    model = make_model(tmp_path / "model", kind)
    spec = QuantizeSpec(model=str(model), method="gguf_q4_k_m", importance_matrix=True, calibration_data=str(text))
    reporter = Reporter(new_job(tmp_path, **spec.model_dump()))
    with TensorSource(model) as weights:
        config = AutoConfig.from_pretrained(model)
        found = importance_of(spec, model, config, weights, torch.device("cpu"), reporter)
    reporter.close()
    whole = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
    inputs: dict[str, torch.Tensor] = {}
    for name, module in whole.named_modules():
        if isinstance(module, torch.nn.Linear):
            module.register_forward_pre_hook(lambda _, given, name=name: inputs.update({name: given[0].flatten(0, -2)}))
    ids = torch.from_numpy(tokenized(read_examples(text), Tokenization(model), 16_384).rows.ids.astype("int64"))
    length = min(512, len(ids))
    with torch.no_grad():
        whole(ids[: len(ids) // length * length].view(-1, length))
    assert len(inputs) > 16
    for name, values in inputs.items():
        mean = values.square().mean(0)
        assert torch.allclose(found[name], mean.clamp(min=float(mean.mean()) * 1e-4), rtol=1e-3), name


def test_importance_changes_what_is_written_and_not_its_size(text: Path, tmp_path: Path) -> None:
    model = make_model(tmp_path / "model", "llama", num_hidden_layers=1)
    common = {"kind": "quantize", "model": str(model), "method": "gguf_q4_k_s", "threads": 1, "device": "cpu"}
    weighed = run_job(tmp_path, **common, importance_matrix=True, calibration_data=str(text))
    plain = run_job(tmp_path, **common)
    files = [next(ran.result.glob("*.gguf")).read_bytes() for ran in (weighed, plain)]
    assert len(files[0]) == len(files[1])
    assert files[0] != files[1]


def test_importance_without_a_text_is_refused(tmp_path: Path) -> None:
    model = make_model(tmp_path / "model", "llama", num_hidden_layers=1)
    common = {"kind": "quantize", "model": str(model), "method": "gguf_q4_k_s", "threads": 1, "device": "cpu"}
    ran = run_job(tmp_path, **common, importance_matrix=True)
    assert (ran.code, ran.last.error) == (2, "spec")
    assert "needs a text" in ran.last.message
