"""Each method of fine-tuning leaves its own trace, and learns: on rows it has not seen, against no training at all."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from tests.workers.random_models import write_random_model
from tests.workers.running import DEMO_MODEL, Ran, run_job, training

pytestmark = pytest.mark.filterwarnings("ignore")
ADAPTER = "adapter_model.safetensors"
LEARNS: dict[str, dict[str, Any]] = {
    "lora_8bit": {"learning_rate": 2e-3},
    "dora": {"learning_rate": 2e-3},
    "rslora": {"learning_rate": 2e-3},
    "pissa": {"learning_rate": 1e-3},
    "full": {"learning_rate": 5e-4},
}


@pytest.fixture(scope="module", params=LEARNS)
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Ran]:
    """One short training by each method; SIGTERM is left alone."""
    method = request.param
    folder = tmp_path_factory.mktemp(method)
    return method, run_job(
        folder, **training(method=method, max_steps=12, batch_size=8, gradient_accumulation=1, **LEARNS[method])
    )


def test_it_learns_and_leaves_its_trace(trained: tuple[str, Ran]) -> None:
    method, ran = trained
    assert ran.code == 0, ran.last
    summary = ran.last.summary
    assert summary["eval_loss_after"] < 0.9 * summary["eval_loss_before"]
    assert set(ran.last.checks) == {"tensors", "reload"}
    _TRACES[method](ran)


def _lora_8bit(ran: Ran) -> None:
    assert ran.last.summary["quantization"] == "LLM.int8 (8 bits)"
    assert ran.last.summary["adapter_dtype"] == "float32"


def _dora(ran: Ran) -> None:
    tensors = load_file(ran.result / ADAPTER)
    magnitudes = [tensor for name, tensor in tensors.items() if "lora_magnitude_vector" in name]
    assert len(magnitudes) == 28
    assert all(tensor.ndim == 1 and bool((tensor > 0).all()) for tensor in magnitudes)


def _rslora(ran: Ran) -> None:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(DEMO_MODEL), ran.result)
    layer = model.base_model.model.model.layers[0].self_attn.q_proj
    assert layer.scaling["default"] == pytest.approx(32 / 8**0.5)


def _pissa(ran: Ran) -> None:
    config = json.loads((ran.result / "adapter_config.json").read_text())
    assert (config["r"], config["lora_alpha"], config["init_lora_weights"]) == (16, 64, True)
    assert load_file(ran.result / ADAPTER)["base_model.model.model.layers.0.mlp.up_proj.lora_A.weight"].shape[0] == 16


def _full(ran: Ran) -> None:
    written = load_file(ran.result / "model.safetensors")
    original = load_file(DEMO_MODEL / "model.safetensors")
    assert written.keys() == original.keys()
    assert {tensor.dtype for tensor in written.values()} == {torch.bfloat16}, "the number format of the original"
    assert sum(not torch.equal(written[name], original[name]) for name in written) > 30
    assert "rope_theta" in json.loads((ran.result / "config.json").read_text()), "where transformers 4 looks for it"
    assert ran.last.summary["trained_dtype"] == "float32"
    assert "every weight of it" in (ran.result / "README.md").read_text()


_TRACES = {"lora_8bit": _lora_8bit, "dora": _dora, "rslora": _rslora, "pissa": _pissa, "full": _full}


def _base(**options: Any) -> Any:
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(DEMO_MODEL, dtype=torch.float32, **options).eval()


def test_a_pissa_start_computes_what_the_model_does_and_is_made_again_the_same() -> None:
    from peft import get_peft_model
    from transformers import set_seed

    from desktop_app.domain.finetune_spec import FinetuneSpec
    from desktop_app.workers.pissa import adapter_start
    from desktop_app.workers.training_arguments import lora_config

    spec = FinetuneSpec(**training(method="pissa"))
    ids = torch.tensor([[5, 6, 7, 8, 9, 10]])
    starts = []
    with torch.no_grad():
        wanted = _base()(ids).logits
        for _ in range(2):
            set_seed(spec.seed)
            base = _base()
            model = get_peft_model(base, lora_config(spec, base)).eval()
            start = adapter_start(spec, model)
            assert start is not None
            starts.append(start)
            assert float((model(ids).logits - wanted).abs().max()) < 1e-4
    assert starts[0].digest == starts[1].digest
    assert all(bool(tensor.any()) for tensor in starts[0].tensors.values()), "it does not begin at zero"


def test_what_rounding_leaves_of_a_short_full_training_is_measured_and_handed_over(tmp_path: Path) -> None:
    """In the original's 16 bits such a model is far from the one in memory, and still sound."""
    settings = {"max_steps": 2, "batch_size": 2, "gradient_accumulation": 1, "scheduler": "constant"}
    ran = run_job(tmp_path, **training(method="full", learning_rate=1e-4, warmup_ratio=0, **settings))
    assert ran.code == 0, ran.last
    assert float(ran.last.checks["reload"].split("at most ")[1].split()[0]) < 1e-3


def test_fp4_has_other_codes_than_nf4(tmp_path: Path) -> None:
    from desktop_app.domain.finetune_spec import FinetuneSpec
    from desktop_app.library.model_folder import check_model_folder
    from desktop_app.workers.loading import load_model, quantization_in_use
    from desktop_app.workers.quantized_base import base_quantization
    from desktop_app.workers.reporter import Reporter
    from tests.workers.running import new_job

    reporter = Reporter(new_job(tmp_path, **training()))
    codes = {}
    for kind in ("nf4", "fp4"):
        spec = FinetuneSpec(**training(method="qlora", quant_type=kind, double_quantization=kind == "nf4"))
        asked = base_quantization(spec, check_model_folder(DEMO_MODEL), torch.float32, reporter)
        model = load_model(DEMO_MODEL, torch.device("cpu"), torch.float32, asked)
        weight = model.model.layers[0].mlp.up_proj.weight
        assert quantization_in_use(model) == f"{kind.upper()} (4 bits)"
        assert weight.quant_state.nested == (kind == "nf4")
        codes[kind] = weight.data.clone()
    reporter.close()
    assert codes["nf4"].shape == codes["fp4"].shape
    assert not torch.equal(codes["nf4"], codes["fp4"])


def test_packed_rows_have_the_logits_that_each_has_alone_in_llama_and_are_refused_where_not() -> None:
    from transformers import MambaConfig, MambaForCausalLM

    from desktop_app.domain.model_facts import ModelFacts
    from desktop_app.domain.training_limits import packing_refusal
    from desktop_app.workers.packing import packing_problem

    assert packing_problem(_base()) == ""
    assert packing_problem(_base(attn_implementation="eager")) == ""
    small = MambaConfig(vocab_size=64, hidden_size=16, num_hidden_layers=1, state_size=4)
    assert packing_problem(MambaForCausalLM(small)) != ""
    mamba = ModelFacts(path="m", name="m", model_type=small.model_type)
    assert "would see each other" in packing_refusal("sft", mamba), "which the form says beforehand"


@pytest.mark.parametrize("options", [{"packing": True}, {"padding_free": True}])
def test_packing_reads_the_same_examples_in_fewer_rows(options: dict[str, bool], tmp_path: Path) -> None:
    ran = run_job(tmp_path, **training(max_steps=None, epochs=0.2, batch_size=4, gradient_accumulation=1, **options))
    assert ran.code == 0, ran.last
    summary = ran.last.summary
    assert summary["packing"] == options.get("packing", False)
    assert summary["eval_loss_after"] < summary["eval_loss_before"]
    if options.get("packing"):
        rows = summary["train_rows"]
        assert summary["steps"] < 0.2 * rows / 4, "packed rows are fewer"
        assert summary["tokens"] / summary["steps"] > 4 * 128 * 0.8, "and nearly full"


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"optimizer": "adamw_8bit", "method": "full", "learning_rate": 2e-4}, "AdamW (8 bits)"),
        ({"optimizer": "adafactor"}, "Adafactor"),
        ({"neftune_alpha": 5.0, "scheduler": "wsd", "decay_ratio": 0.5, "activation_checkpointing": True}, "AdamW"),
        ({"scheduler": "linear", "modules_to_save": ("embed_tokens",)}, "AdamW"),
    ],
)
def test_optimizers_and_schedules_are_those_that_were_asked_for(
    options: dict[str, Any], name: str, tmp_path: Path
) -> None:
    ran = run_job(tmp_path, **training(**{"max_steps": 6, "held_out": 0.05, **options}))
    assert ran.code == 0, ran.last
    assert ran.last.summary["optimizer"] == name
    assert ran.last.summary["eval_loss_after"] < ran.last.summary["eval_loss_before"]
    rates = [event.values["learning_rate"] for event in ran.of_kind("metric") if "learning_rate" in event.values]
    if options.get("scheduler") == "wsd":
        assert rates[1] == rates[2] == 1e-3, "it holds"
        assert rates[-1] < rates[3], "and falls at the end"
    if options.get("scheduler") == "linear":
        assert rates[2] - rates[3] == pytest.approx(rates[3] - rates[4])
        assert any("embed_tokens" in key for key in load_file(ran.result / ADAPTER))


@pytest.mark.parametrize(("kind", "method"), [("mixtral", "lora"), ("qwen3_moe", "qlora")])
def test_a_mixture_of_experts_learns_in_its_attention_and_says_so(tmp_path: Path, kind: str, method: str) -> None:
    from transformers import AutoTokenizer

    folder = write_random_model(tmp_path / kind, kind, dtype="float32", vocab_size=4096)
    AutoTokenizer.from_pretrained(DEMO_MODEL).save_pretrained(folder)
    ran = run_job(tmp_path, **training(model=str(folder), method=method))
    assert any("the experts stay as they are" in notice.text for notice in ran.of_kind("notice"))
    names = load_file(ran.result / "adapter_model.safetensors").keys()
    assert {name.split(".")[-3] for name in names} == {"q_proj", "k_proj", "v_proj", "o_proj"}
