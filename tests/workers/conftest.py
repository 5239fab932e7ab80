"""Jobs that several tests look at, and a model of an awkward shape."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.workers.running import DEMO_MODEL, Ran, quantization, run_job, training

# As the supervisor sets it for a worker's process; read when the libraries are imported, which is later.
os.environ |= dict.fromkeys(
    ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_DATASETS_OFFLINE", "TORCHDYNAMO_DISABLE"), "1"
)
os.environ |= {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false", "GPTQMODEL_CPU_WORKERS": "2"}


@pytest.fixture(autouse=True)
def _own_signals() -> Iterator[None]:
    """A worker takes SIGTERM for 'stop and save'; this process must not."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.fixture(scope="session")
def lora(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """A short LoRA training, shared by the tests that only look at it."""
    return run_job(tmp_path_factory.mktemp("lora"), **training(save_steps=2))


@pytest.fixture(scope="session")
def quantized(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Ran]:
    """The demo model quantized by each method."""
    parent = tmp_path_factory.mktemp("quantized")
    return {method: run_job(parent, **quantization(method)) for method in ("nf4", "int8")}


@pytest.fixture(scope="session")
def odd_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random Llama whose MLP is 172 wide, which 4-bit kernels cannot take."""
    import torch
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    folder = tmp_path_factory.mktemp("odd") / "model"
    torch.manual_seed(1)
    sizes = {"hidden_size": 64, "intermediate_size": 172, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = LlamaConfig(vocab_size=1024, num_key_value_heads=2, max_position_embeddings=256, **sizes)
    LlamaForCausalLM(config).save_pretrained(folder)
    AutoTokenizer.from_pretrained(DEMO_MODEL).save_pretrained(folder)
    return folder
