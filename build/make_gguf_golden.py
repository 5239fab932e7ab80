#!/usr/bin/env python3
"""Make `tests/workers/gguf/golden.json`: what ggml's own quantizer makes of given weights, as one checksum per block.

Needs llama-cpp-python, from whose folder ggml is loaded; our program and its tests do not. The weights are drawn by
numpy's frozen RandomState, so that the file need not hold them.
"""

import argparse
import ctypes
import importlib.util
import json
import sys
import zlib
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
GOLDEN = ROOT / "tests" / "workers" / "gguf" / "golden.json"
ROWS, COLUMNS, SUPER_BLOCK = 400, 1024, 256
# ggml's numbers of its types (ggml.h), with the bytes that 256 values take.
TYPES = {
    "Q4_0": (2, 144), "Q4_1": (3, 160), "Q5_0": (6, 176), "Q5_1": (7, 192), "Q8_0": (8, 272),
    "Q3_K": (11, 110), "Q4_K": (12, 144), "Q5_K": (13, 176), "Q6_K": (14, 210),
}  # fmt: skip
WITH_IMPORTANCE = ("Q3_K", "Q4_K", "Q5_K", "Q6_K")


def main() -> None:
    """Write the file anew."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=GOLDEN)
    out = parser.parse_args().out
    quantize = _ggml_quantizer()
    values, importance = weights(), column_importance()
    sums = {name: checksums(quantize(values, number, size, None), size) for name, (number, size) in TYPES.items()}
    for name in WITH_IMPORTANCE:
        number, size = TYPES[name]
        sums[f"{name} with importance"] = checksums(quantize(values, number, size, importance), size)
    about = {"made by": _origin(), "crc32 of the weights": zlib.crc32(values.tobytes())}
    out.write_text(json.dumps({**about, "crc32 of each 256 values": sums}, indent=0), encoding="utf-8")
    print(f"{out}: {out.stat().st_size:,} bytes")


def weights() -> np.ndarray:
    """Draw weights of many kinds, (rows, columns) float32: normal, heavy-tailed, rounded, zeros, of one sign."""
    draw = np.random.RandomState(20)
    rows = (draw.standard_normal((ROWS, COLUMNS)) * 0.02).astype(np.float32)
    rows[100:150] = (draw.standard_t(2, (50, COLUMNS)) * 0.01).astype(np.float32)
    rows[150:250] = (rows[150:250].view(np.uint32) & 0xFFFF0000).view(np.float32)  # as bfloat16 holds them
    rows[250:255] = 0
    rows[255:260, :300] = 0
    rows[260:270] = np.abs(rows[260:270])
    rows[270:280] = -np.abs(rows[270:280])
    rows[280:290] *= 1e-4
    rows[290:310, ::256] *= 50
    rows[310:315] = 0.013
    return rows


def column_importance() -> np.ndarray:
    """Draw a positive weight for every column, (columns,) float32."""
    return (np.random.RandomState(21).standard_normal(COLUMNS) ** 2 + 0.01).astype(np.float32)


def _ggml_quantizer():
    spec = importlib.util.find_spec("llama_cpp")
    if spec is None or spec.origin is None:
        sys.exit(
            "llama-cpp-python is not installed here; install it in an environment of its own and start this there."
        )
    library = next(path for path in (Path(spec.origin).parent / "lib").iterdir() if "ggml-base" in path.name)
    ggml = ctypes.CDLL(str(library))
    ggml.ggml_quantize_chunk.restype = ctypes.c_size_t
    pointer, count = ctypes.c_void_p, ctypes.c_int64
    ggml.ggml_quantize_chunk.argtypes = [ctypes.c_int, pointer, pointer, count, count, count, pointer]

    def quantize(values: np.ndarray, number: int, size: int, importance: np.ndarray | None) -> bytes:
        rows, columns = values.shape
        out = np.zeros(rows * columns // SUPER_BLOCK * size, np.uint8)
        beside = None if importance is None else importance.ctypes.data
        done = ggml.ggml_quantize_chunk(number, values.ctypes.data, out.ctypes.data, 0, rows, columns, beside)
        assert done == len(out), (done, len(out))
        return out.tobytes()

    return quantize


def checksums(data: bytes, size: int) -> str:
    """Join a checksum of eight hex digits for each 256 values."""
    return "".join(f"{zlib.crc32(data[start : start + size]):08x}" for start in range(0, len(data), size))


def _origin() -> str:
    import importlib.metadata

    return f"ggml of llama-cpp-python {importlib.metadata.version('llama-cpp-python')}"


if __name__ == "__main__":
    main()
