"""Every format of a block, bit for bit what ggml's own quantizer made of the same weights, and readable by `gguf`."""

import importlib.util
import json
import zlib
from pathlib import Path
from types import ModuleType

import gguf
import numpy as np
import pytest
import torch
from gguf import GGMLQuantizationType

from desktop_app.workers.gguf.block_format import FORMATS

ROOT = Path(__file__).resolve().parents[3]
K_QUANTS = ["Q3_K", "Q4_K", "Q5_K", "Q6_K"]
SIMPLE = ["Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1"]


def _maker() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_gguf_golden", ROOT / "build" / "make_gguf_golden.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def golden() -> tuple[dict[str, str], np.ndarray, np.ndarray]:
    """The checksums, the weights they belong to, and the importance of their columns."""
    maker = _maker()
    kept = json.loads(maker.GOLDEN.read_text(encoding="utf-8"))
    weights = maker.weights()
    if zlib.crc32(weights.tobytes()) != kept["crc32 of the weights"]:
        pytest.skip("this system's mathematical library draws other weights than those of the checksums")
    return kept["crc32 of each 256 values"], weights, maker.column_importance()


@pytest.mark.parametrize("name", [*SIMPLE, *K_QUANTS, *(f"{name} with importance" for name in K_QUANTS)])
def test_blocks_equal_those_of_ggml(name: str, golden: tuple[dict[str, str], np.ndarray, np.ndarray]) -> None:
    sums, weights, importance = golden
    how = FORMATS[GGMLQuantizationType[name.split()[0]]]
    weighed = torch.from_numpy(importance) if "importance" in name else None
    data = how.encode(torch.from_numpy(weights), weighed).numpy().tobytes()
    size = 256 // how.block * how.block_bytes
    found = [f"{zlib.crc32(data[start : start + size]):08x}" for start in range(0, len(data), size)]
    expected = [sums[name][start : start + 8] for start in range(0, len(sums[name]), 8)]
    assert len(found) == len(expected)
    equal = sum(map(str.__eq__, found, expected)) / len(expected)
    # Simple formats leave no choice. The searches of the K-quants round in another order on some processors.
    assert equal == 1 if name in SIMPLE else equal >= 0.999


@pytest.mark.parametrize(
    ("name", "bound"), [("Q8_0", 0.006), ("Q6_K", 0.02), ("Q5_K", 0.04), ("Q4_K", 0.08), ("Q3_K", 0.16)]
)
def test_what_was_written_is_read_back_near_the_weights(name: str, bound: float) -> None:
    weights = torch.randn(64, 512, generator=torch.Generator().manual_seed(1))
    how = FORMATS[GGMLQuantizationType[name]]
    read = torch.from_numpy(gguf.quants.dequantize(how.encode(weights, None).numpy(), how.type))
    assert (read - weights).norm() / weights.norm() < bound


@pytest.mark.parametrize("name", ["F32", "F16", "BF16"])
def test_plain_numbers_stay_what_they_are(name: str) -> None:
    weights = torch.randn(8, 48, generator=torch.Generator().manual_seed(2)).bfloat16()
    how = FORMATS[GGMLQuantizationType[name]]
    read = torch.from_numpy(gguf.quants.dequantize(how.encode(weights, None).numpy(), how.type))
    assert torch.equal(read, weights.float())


@pytest.mark.parametrize("name", K_QUANTS)
def test_importance_lowers_the_error_of_what_is_important(name: str) -> None:
    draw = torch.Generator().manual_seed(3)
    weights = torch.randn(64, 512, generator=draw)
    importance = torch.where(torch.arange(512) % 16 == 0, 100.0, 0.01)
    how = FORMATS[GGMLQuantizationType[name]]

    def error(given: torch.Tensor | None) -> float:
        read = torch.from_numpy(gguf.quants.dequantize(how.encode(weights, given).numpy(), how.type))
        return float((importance * (read - weights) ** 2).sum())

    assert error(importance) < 0.8 * error(None)
