#!/usr/bin/env python3
"""Measure memory, time and size of GGUF files made from models of several sizes, each in a worker's own process.

Memory is anonymous memory (RssAnon, looked at every 20 ms): what the kernel cannot take back; of the worker, and of the
process in which it has the finished file opened. Linux only.

    python -m tests.bench.gguf [--methods gguf_q8_0 gguf_q4_k_m] [--gigabytes 0.25 0.5 1 2] [--embedding] [--layers]
"""

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from desktop_app.domain.spec import parse_spec
from desktop_app.job_folder import create_job_folder
from desktop_app.process import helper_environment, own_command
from tests.fakes.model_files import LLAMA, header_bytes, llama_tensors
from tests.fakes.tiny_tokenizer import write_tokenizer

_ROOT = Path(__file__).resolve().parents[2]
_BLOCK = 1 << 22
SHORT_OF_MEMORY = """
import sys
from desktop_app.workers import reload_check, run
reload_check._MOST_OF_FREE = 0.0
sys.exit(run.run_worker(sys.argv[1]))
"""


def main() -> None:
    """Print one line for each model and method."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--methods", nargs="+", default=["gguf_f16", "gguf_q8_0", "gguf_q4_k_m"])
    parser.add_argument("--gigabytes", nargs="+", type=float, default=[0.25, 0.5, 1, 2])
    parser.add_argument("--embedding", action="store_true", help="also a model whose embedding alone has 1 GB")
    parser.add_argument("--layers", action="store_true", help="open copies as where memory is short: layer by layer")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--folder", type=Path, default=None, help="where the models are written for a while")
    asked = parser.parse_args()
    titles = ("peak anon MB", "while writing", "opener MB", "seconds", "MB/s", "ratio")
    print(f"{'model':>12} {'method':>12}" + "".join(f" {title:>13}" for title in titles))
    for gigabytes in asked.gigabytes:
        _measure(asked, f"{gigabytes:g} GB", int(gigabytes * 1e9), 4096)
    if asked.embedding:
        _measure(asked, "1 GB embed", 1_200_000_000, 244_000)


def _measure(asked: argparse.Namespace, name: str, size: int, vocabulary: int) -> None:
    with tempfile.TemporaryDirectory(dir=asked.folder) as place:
        model = _write_model(Path(place) / "model", size, vocabulary)
        real = (model / "model.safetensors").stat().st_size
        for method in asked.methods:
            peak, imports, opener, seconds, written = _run(asked, Path(place), model, method)
            speed = real / 1e6 / seconds
            figures = (
                f"{peak:.0f}",
                f"{imports:.0f}",
                f"{opener:.0f}",
                f"{seconds:.1f}",
                f"{speed:.0f}",
                f"{written / real:.3f}",
            )
            print(f"{name:>12} {method:>12}" + "".join(f" {text:>13}" for text in figures), flush=True)


def _write_model(folder: Path, size: int, vocabulary: int) -> Path:
    """Write a Llama of random bfloat16 weights of about `size` bytes."""
    write_tokenizer(folder)
    hidden = 2048
    sizes = {"hidden_size": hidden, "intermediate_size": 5632, "num_attention_heads": 16, "num_key_value_heads": 4}
    per_layer = 2 * (hidden * hidden * 2 + 2 * hidden * 512 + 3 * hidden * 5632)
    layers = max(1, round((size - 2 * vocabulary * hidden) / per_layer))
    changes = {"num_hidden_layers": layers, "vocab_size": vocabulary, "tie_word_embeddings": True}
    config = {**LLAMA, **sizes, **changes}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    tensors = llama_tensors(config)
    entries, reached = {}, 0
    for name, (dtype, shape) in tensors.items():
        length = 2 * int(np.prod(shape))
        entries[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [reached, reached + length]}
        reached += length
    block = (np.random.default_rng(1).standard_normal(_BLOCK // 2).astype(np.float32) * 0.02).view(np.uint32) >> 16
    data = block.astype(np.uint16).tobytes()
    with (folder / "model.safetensors").open("wb") as stream:
        stream.write(header_bytes(entries))
        for start in range(0, reached, len(data)):
            stream.write(data[: min(len(data), reached - start)])
    return folder


def _run(asked: argparse.Namespace, place: Path, model: Path, method: str) -> tuple[float, float, float, float, int]:
    """Return peak anonymous memory, that while writing, that of the process which opens the copy; seconds, bytes."""
    spec = parse_spec(
        {"kind": "quantize", "model": str(model), "method": method, "device": "cpu", "threads": asked.threads}
    )
    job = create_job_folder(place, f"job-{method}", spec)
    started = time.monotonic()
    role = [sys.executable, "-c", SHORT_OF_MEMORY] if asked.layers else own_command("--worker")
    worker = subprocess.Popen(
        [*role, str(job.path)], env=helper_environment(asked.threads), stdout=subprocess.DEVNULL, cwd=_ROOT
    )
    peak, opener, at_writing = 0.0, 0.0, []
    while worker.poll() is None:
        now = _anonymous_mb(worker.pid)
        peak = max(peak, now)
        opener = max([opener, *map(_anonymous_mb, _children(worker.pid))])
        if any(event.kind == "stage" and event.text.startswith("Writing") for event in job.read_events().events[-1:]):
            at_writing.append(now)
        time.sleep(0.02)
    seconds = time.monotonic() - started
    last = job.read_events().events[-1]
    if last.kind != "succeeded":
        sys.exit(f"{method}: {last}")
    written = sum(path.stat().st_size for path in Path(last.result).glob("*.gguf"))
    shutil.rmtree(job.path)
    print(f"             {last.checks['reload']}")
    return peak, statistics.median(at_writing or [0.0]), opener, seconds, written


def _children(pid: int) -> list[int]:
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="utf-8")
    except OSError:
        return []
    return [int(child) for child in text.split()]


def _anonymous_mb(pid: int) -> float:
    try:
        text = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    except OSError:
        return 0.0
    line = next((line for line in text.splitlines() if line.startswith("RssAnon")), "")
    return int(line.split()[1]) / 1024 if line else 0.0


if __name__ == "__main__":
    main()
