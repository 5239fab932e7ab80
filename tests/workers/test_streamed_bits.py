"""Streamed copies are bit for bit what `from_pretrained` and `save_pretrained` of the pinned libraries write."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from bitsandbytes import functional as bitsandbytes_functional
from bitsandbytes.backends.default.ops import _get_4bit_quantize_bounds
from safetensors import safe_open

from desktop_app.workers.bitsandbytes_recipe import _quick_int8, _quick_nf4
from desktop_app.workers.older_config import keep_older_names
from tests.workers.random_models import write_random_model
from tests.workers.running import run_job

pytestmark = pytest.mark.filterwarnings("ignore")
CASES: list[tuple[str, str, dict[str, Any]]] = [
    ("llama", "nf4", {}),
    ("llama", "nf4", {"double_quantization": False}),
    ("llama", "fp4", {"compute_dtype": "fp32"}),
    ("llama", "int8", {}),
    ("qwen3", "nf4", {}),
    ("qwen3", "int8", {"skip_modules": ("*.down_proj", "layers.0.self_attn")}),
    ("gemma3", "nf4", {"keep_first_layers": 1}),
    ("gemma3", "int8", {}),
    ("gpt2", "nf4", {}),
    ("gpt2", "int8", {}),
    ("llama", "int8_weight_only", {}),
    ("qwen3", "int8_dynamic", {}),
    ("gemma3", "float8_weight_only", {}),
]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    parent = tmp_path_factory.mktemp("models")
    shards = {"llama": "300KB"}
    return {
        kind: write_random_model(parent / kind, kind, shard=shards.get(kind, "50GB"))
        for kind in ("llama", "qwen3", "gemma3", "gpt2")
    }


def tensors_of(folder: Path) -> dict[str, torch.Tensor]:
    found = {}
    for file in sorted(folder.glob("*.safetensors")):
        with safe_open(file, "pt") as opened:
            found |= {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    return found


def remarks_of(folder: Path) -> dict[str, Any]:
    """What the headers say beside names and shapes; the order means nothing, nor a tied tensor that is not there."""
    found: dict[str, Any] = {}
    for file in sorted(folder.glob("*.safetensors")):
        with safe_open(file, "pt") as opened:
            for name, text in opened.metadata().items():
                value = json.loads(text) if text[:1] in "{[" else text
                for key in ("_tensor_data_names",) if isinstance(value, dict) else ():
                    value[key] = sorted(value.get(key, ()))
                found[name] = sorted(value) if isinstance(value, list) else value
            if "tensor_names" in found and "lm_head.weight" not in opened.keys():  # noqa: SIM118
                found.pop("lm_head.weight", None)
                found["tensor_names"] = [name for name in found["tensor_names"] if name != "lm_head.weight"]
    return found


def reference(model: Path, folder: Path, method: str, kept: list[str], spec: dict[str, Any]) -> Path:
    """What the libraries write with the same modules left in 16 bits."""
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig, TorchAoConfig

    compute = {"fp32": torch.float32}.get(spec.get("compute_dtype", ""), torch.bfloat16)
    four = {
        "load_in_4bit": True,
        "bnb_4bit_quant_type": method,
        "bnb_4bit_use_double_quant": spec.get("double_quantization", True),
        "bnb_4bit_compute_dtype": compute,
    }
    config: Any = BitsAndBytesConfig(
        llm_int8_skip_modules=kept, **({"load_in_8bit": True} if method == "int8" else four)
    )
    if "_" in method:
        from desktop_app.workers.torchao_recipe import torchao_config

        config = TorchAoConfig(torchao_config(method), modules_to_not_convert=kept)
    made = AutoModelForCausalLM.from_pretrained(
        model, dtype=torch.bfloat16, device_map={"": "cpu"}, quantization_config=config
    )
    made.save_pretrained(folder)
    keep_older_names(folder)  # the one thing in which ours differs, for transformers 4
    return folder


def assert_same_bits(written: Path, wanted: Path) -> None:
    ours, theirs = tensors_of(written), tensors_of(wanted)
    assert ours.keys() == theirs.keys()
    for name, tensor in theirs.items():
        assert (ours[name].dtype, ours[name].shape) == (tensor.dtype, tensor.shape), name
        assert torch.equal(ours[name].reshape(-1).view(torch.uint8), tensor.reshape(-1).view(torch.uint8)), name
    assert remarks_of(written) == remarks_of(wanted)
    for file in ("config.json", "generation_config.json"):
        assert json.loads((written / file).read_bytes()) == json.loads((wanted / file).read_bytes())


@pytest.mark.parametrize(("kind", "method", "spec"), CASES, ids=lambda value: str(value))
def test_every_tensor_is_bit_equal(
    models: dict[str, Path], tmp_path: Path, kind: str, method: str, spec: dict[str, Any]
) -> None:
    ran = run_job(tmp_path, kind="quantize", model=str(models[kind]), method=method, threads=1, device="cpu", **spec)
    manifest = json.loads((ran.result / "manifest.json").read_bytes())
    kept = manifest["kept_modules"][method]
    assert_same_bits(ran.result, reference(models[kind], tmp_path / "wanted", method, kept, spec))
    if "keep_first_layers" in spec:
        assert "model.layers.0.mlp.up_proj" in kept
        assert "model.layers.1.mlp.up_proj" not in kept
    if "skip_modules" in spec:
        assert ran.last.summary["quantized_layers"] == 2 * 7 - 2 - 4


@pytest.mark.parametrize("block_size", [32, 64, 4096])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_the_quick_way_to_nf4_gives_the_librarys_bits(dtype: torch.dtype, block_size: int) -> None:
    """More values than are computed at once; among them each bound and its neighbours, zeros and the smallest ones."""
    torch.manual_seed(block_size)
    bounds = _get_4bit_quantize_bounds("nf4", torch.device("cpu"))[0]
    near = torch.cat([bounds, bounds.nextafter(torch.tensor(2.0)), bounds.nextafter(torch.tensor(-2.0))])
    values = torch.randn(block_size * (200_000 // block_size + 1)) * 0.02
    values[: near.numel()], values[near.numel()] = near, 1.0
    values[block_size : 2 * block_size] = 0.0
    values[2 * block_size : 3 * block_size] *= 1e-6
    flat = values.to(dtype)
    wanted, state = bitsandbytes_functional.quantize_4bit(
        flat, blocksize=block_size, quant_type="nf4", compress_statistics=False
    )
    packed, scales = _quick_nf4(flat, block_size)
    assert torch.equal(packed, wanted)
    assert torch.equal(scales, state.absmax)
    # In 32 bits values lie on the bounds exactly.
    exact, _ = _quick_nf4(values, block_size)
    assert torch.equal(exact, bitsandbytes_functional.quantize_4bit(values, blocksize=block_size, quant_type="nf4")[0])


@pytest.mark.parametrize("columns", [1, 33, 257, 2048])
def test_the_quick_way_to_int8_gives_the_librarys_bits(columns: int) -> None:
    """Among the rows one of zeros, one of the smallest and one of the largest values that fp16 has, and ties."""
    torch.manual_seed(columns)
    rows = torch.randn(64, columns).to(torch.float16)
    rows[1], rows[2], rows[3, 0], rows[4, -1] = 0.0, 6e-8, 65504.0, -65504.0
    rows[5] = (torch.arange(columns) % 127 + 0.5) / 127
    wanted, largest, _ = bitsandbytes_functional.int8_vectorwise_quant(rows.clone())
    values, found = _quick_int8(rows.float())
    assert torch.equal(values, wanted)
    assert torch.equal(found, largest)
