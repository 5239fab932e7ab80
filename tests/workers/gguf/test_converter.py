"""Writing whole models as GGUF: every architecture, read back by transformers; and what is refused."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from desktop_app.domain.quantize_spec import QuantizeSpec
from desktop_app.errors import StorageError
from desktop_app.job_folder import Request
from desktop_app.library.gguf_header import read_gguf_header
from desktop_app.library.model_folder import model_facts
from desktop_app.result_folder import manifest_problems
from desktop_app.workers.gguf.converter import write_copies
from desktop_app.workers.reporter import Reporter
from desktop_app.workers.run import run_worker
from tests.workers.gguf.models import KINDS, make_model
from tests.workers.running import DEMO_MODEL, Ran, new_job, run_job

pytestmark = pytest.mark.filterwarnings("ignore")
# What transformers 5.23 reads: it has no SmolLM 3 and no OLMo 2, and drops Llama's biases and scaling of positions.
# (It also takes a Llama whose name holds "mistral" for another kind, which it then does not know.)
READ_BACK = ["llama", "mistral", "qwen2", "qwen3", "qwen3 small heads", "gemma2", "gemma3", "phi3"]


def quantization(model: Path, method: str, **more: Any) -> dict[str, Any]:
    return {"kind": "quantize", "model": str(model), "method": method, "threads": 1, "device": "cpu", **more}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    parent = tmp_path_factory.mktemp("models")
    return {kind: make_model(parent / f"model-{number}", kind) for number, kind in enumerate(KINDS)}


@pytest.fixture(scope="module")
def written(models: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Ran]:
    parent = tmp_path_factory.mktemp("written")
    return {
        kind: run_job(parent, **quantization(model, "gguf_f32", further_methods=["gguf_q4_k_m"]))
        for kind, model in models.items()
    }


def gguf_file(ran: Ran, method: str = "gguf_f32") -> Path:
    return next((ran.result / method).glob("*.gguf"))


@pytest.mark.parametrize("kind", KINDS)
def test_every_architecture_is_written_and_checked(kind: str, written: dict[str, Ran]) -> None:
    ran = written[kind]
    assert manifest_problems(ran.result) == []
    assert ran.last.checks["gguf_f32: relative error"].startswith("mean 0.0000, worst 0.0000")
    assert 0.02 < ran.last.summary["gguf_q4_k_m.mean_relative_error"] < 0.09
    assert ran.last.summary["gguf_q4_k_m.ratio"] < 0.4
    facts = model_facts(gguf_file(ran, "gguf_q4_k_m"))
    assert (facts.quantization, facts.context_length) == ("GGUF Q4_K_M", 512)
    assert facts.has_chat_template


@pytest.mark.parametrize("kind", READ_BACK)
def test_transformers_reads_the_same_model_back(kind: str, models: dict[str, Path], written: dict[str, Ran]) -> None:
    file = gguf_file(written[kind])
    # The reader does not look at the size of Qwen's heads and not at the scale of Gemma's attention.
    needs_config = kind in ("qwen3 small heads", "gemma2", "gemma3")
    own = {"config": AutoConfig.from_pretrained(models[kind])} if needs_config else {}
    read = AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name, dtype=torch.float32, **own)
    original = AutoModelForCausalLM.from_pretrained(models[kind], dtype=torch.float32)
    ids = torch.randint(4, 400, (1, 48), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        difference = (read(ids).logits - original(ids).logits).abs().max()
    assert difference < 1e-3


def test_transformers_reads_the_tokenizer_back(models: dict[str, Path], written: dict[str, Ran]) -> None:
    file = gguf_file(written["qwen2"])
    read = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
    original = AutoTokenizer.from_pretrained(models["qwen2"])
    text = "Where is the hammer? It's in the barn:\n\n  3.14 Häuser, 12345 red ones"
    assert read.encode(text, add_special_tokens=False) == original.encode(text, add_special_tokens=False)
    assert read.chat_template == original.chat_template


def test_what_is_only_for_training_is_left_out_of_the_template(tmp_path: Path) -> None:
    ran = run_job(tmp_path, **quantization(DEMO_MODEL, "gguf_f16"))
    header = read_gguf_header(next(ran.result.glob("*.gguf"))).values
    template = header["tokenizer.chat_template"]
    assert "{% generation %}" in (DEMO_MODEL / "chat_template.jinja").read_text(encoding="utf-8")
    assert "generation %" not in template
    assert "<|im_start|>assistant" in template
    ends = (header["tokenizer.ggml.eos_token_id"], header["tokenizer.ggml.eot_token_id"])
    assert sorted(ends) == sorted(json.loads((DEMO_MODEL / "generation_config.json").read_bytes())["eos_token_id"])
    assert header["tokenizer.ggml.add_bos_token"] is False


def test_layers_can_be_left_as_they_are(models: dict[str, Path], tmp_path: Path) -> None:
    kept = {"skip_modules": ["*.down_proj"], "keep_first_layers": 1, "keep_embeddings": True}
    ran = run_job(tmp_path, **quantization(models["llama"], "gguf_q4_0", **kept))
    tensors = read_gguf_header(next(ran.result.glob("*.gguf"))).tensors
    bfloat16, q4_0 = 30, 2
    assert {tensors[name].type_number for name in ("token_embd.weight", "output.weight")} == {bfloat16}
    assert {tensors[f"blk.{layer}.ffn_down.weight"].type_number for layer in range(4)} == {bfloat16}
    assert [tensors[f"blk.{layer}.attn_q.weight"].type_number for layer in range(4)] == [bfloat16, q4_0, q4_0, q4_0]
    assert ran.last.summary["kept_layers"] == 2 + 4 + 6


def test_rows_that_are_no_whole_blocks_get_a_format_that_fits(tmp_path: Path) -> None:
    model = make_model(tmp_path / "odd", "llama", hidden_size=96, intermediate_size=176, num_hidden_layers=1)
    ran = run_job(tmp_path, **quantization(model, "gguf_q4_k_m"))
    tensors = read_gguf_header(next(ran.result.glob("*.gguf"))).tensors
    # 96 is three blocks of 32, but no super-block; 176 is neither.
    assert tensors["blk.0.attn_q.weight"].type_number == 6  # Q5_0
    assert tensors["blk.0.ffn_down.weight"].type_number == 1  # F16


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model_type": "gpt_neox"}, "'gpt_neox' cannot be written as GGUF"),
        ({"hidden_act": "relu"}, "'relu'; llama.cpp computes llama with 'silu'"),
        ({"rope_parameters": {"rope_type": "dynamic", "rope_theta": 1e4, "factor": 2.0}}, "positions by 'dynamic'"),
    ],
)
def test_what_llama_cpp_cannot_compute_is_refused(
    change: dict[str, Any], message: str, models: dict[str, Path], tmp_path: Path
) -> None:
    model = tmp_path / "model"
    shutil.copytree(models["llama"], model)
    config = json.loads((model / "config.json").read_bytes())
    (model / "config.json").write_text(json.dumps({**config, **change}), encoding="utf-8")
    ran = run_job(tmp_path, **quantization(model, "gguf_q8_0"))
    assert (ran.code, ran.last.error) == (2, "model")
    assert message in ran.last.message
    assert ran.last.hint


def test_a_weight_that_is_missing_is_not_passed_over(models: dict[str, Path], tmp_path: Path) -> None:
    model = tmp_path / "model"
    shutil.copytree(models["qwen3"], model)
    tensors = load_file(model / "model.safetensors")
    del tensors["model.layers.1.self_attn.q_norm.weight"]
    save_file(tensors, model / "model.safetensors", metadata={"format": "pt"})
    ran = run_job(tmp_path, **quantization(model, "gguf_q8_0"))
    assert "lacks 1 weights" in ran.last.message
    assert "layers.1.self_attn.q_norm.weight" in ran.last.message


@pytest.mark.parametrize("damage", ["cut off", "zeros", "another's", "not finite", "header"])
def test_a_damaged_file_is_not_shown(
    damage: str, models: dict[str, Path], written: dict[str, Ran], tmp_path: Path
) -> None:
    file = tmp_path / "model.gguf"
    content = bytearray(gguf_file(written["llama"]).read_bytes())
    tensors = read_gguf_header(gguf_file(written["llama"])).tensors
    first, second = (tensors[f"blk.{layer}.ffn_down.weight"].begin for layer in (0, 1))
    if damage == "cut off":
        del content[-5000:]
    elif damage == "zeros":
        content[first : first + 40_000] = bytes(40_000)
    elif damage == "another's":
        size = 4 * 256 * 512
        content[first : first + size], content[second : second + size] = (
            content[second : second + size],
            content[first : first + size],
        )
    elif damage == "not finite":
        content[first : first + 4] = b"\x00\x00\x80\x7f"
    else:
        content[20] ^= 0x40
    file.write_bytes(content)
    with pytest.raises(StorageError):
        recheck(models["llama"], file, tmp_path)


def recheck(model: Path, file: Path, tmp_path: Path) -> None:
    """Run the check that follows writing on a file as it stands."""
    spec = QuantizeSpec(model=str(model), method="gguf_f32", device="cpu")
    reporter = Reporter(new_job(tmp_path, **spec.model_dump()))
    (tmp_path / "made").mkdir()
    check = write_copies(spec, model, model_facts(model), {"gguf_f32": tmp_path / "made"}, reporter)["gguf_f32"]
    made = next((tmp_path / "made").iterdir())
    check(made.parent)
    made.write_bytes(file.read_bytes())
    try:
        check(made.parent)
    finally:
        reporter.close()


@pytest.mark.parametrize("share", [0.0, 0.3, 0.77, 0.999])
def test_an_interrupted_file_is_gone_on_with_to_the_same_bytes(
    share: float, models: dict[str, Path], tmp_path: Path
) -> None:
    spec = QuantizeSpec(model=str(models["qwen3"]), method="gguf_q5_k_m", device="cpu")
    reporter = Reporter(new_job(tmp_path, **spec.model_dump()))
    facts = model_facts(models["qwen3"])
    write_copies(spec, models["qwen3"], facts, {"gguf_q5_k_m": tmp_path}, reporter)
    file = next(tmp_path.glob("*.gguf"))
    wanted = file.read_bytes()
    # What stands before the cut is taken over as it is; a mark there shows that it was not written again.
    place = read_gguf_header(file).tensors["token_embd.weight"].begin
    cut = bytearray(wanted[: int(share * len(wanted))])
    is_taken_over = share > 0.5
    if is_taken_over:
        cut[place] ^= 0xFF
    file.write_bytes(cut)
    write_copies(spec, models["qwen3"], facts, {"gguf_q5_k_m": tmp_path}, reporter)
    reporter.close()
    found = bytearray(file.read_bytes())
    assert (found[place] != wanted[place]) == is_taken_over
    found[place] = wanted[place]
    assert found == wanted


def test_cancelling_shows_nothing(models: dict[str, Path], tmp_path: Path) -> None:
    job = new_job(tmp_path, **quantization(models["llama"], "gguf_q6_k"))
    job.ask(Request.CANCEL)
    ran = Ran(job, run_worker(job.path))
    assert (ran.code, ran.last.kind) == (130, "cancelled")
    assert not list(job.path.glob("result/*.gguf"))


def test_a_weight_too_large_for_f16_is_not_written_as_infinite(models: dict[str, Path], tmp_path: Path) -> None:
    model = tmp_path / "model"
    shutil.copytree(models["llama"], model)
    tensors = load_file(model / "model.safetensors")
    tensors["model.layers.0.mlp.up_proj.weight"][3, 5] = 1e6
    save_file(tensors, model / "model.safetensors", metadata={"format": "pt"})
    ran = run_job(tmp_path, **quantization(model, "gguf_f16"))
    assert (ran.code, ran.last.error) == (2, "storage")
    assert "not finite" in ran.last.message
    assert run_job(tmp_path, **quantization(model, "gguf_bf16")).code == 0
