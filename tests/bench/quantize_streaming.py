#!/usr/bin/env python3
"""Memory and time of streamed quantization against `from_pretrained` + `save_pretrained` on random Llamas.

Goals: peak anonymous memory flat within 100 MB from 0.25 to 2 GB and with an embedding of 1 GB, at most 450 MB in all;
time without the check at most 0.9 (NF4) and 0.6 (int8) of the plain path, median of alternating pairs. Both sides are
timed inside fresh processes after their imports, with the same number of threads, the source in the page cache.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from desktop_app.process import helper_environment  # noqa: E402  (the path above)

# layers and vocabulary of a Llama of hidden size 2048 in bf16; one layer has 104 MB
MODELS = {"0.25 GB": (2, 8_192), "0.5 GB": (4, 8_192), "1 GB": (9, 8_192), "2 GB": (18, 16_384)}
EMBEDDING = {"1 GB embedding": (1, 256_000)}


def main() -> None:
    """Print the two tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--child", nargs=3, metavar=("WAY", "METHOD", "MODEL"))
    arguments = parser.parse_args()
    if arguments.child:
        print(json.dumps(child(*arguments.child)))
        return
    with tempfile.TemporaryDirectory() as parent:
        print("model           method  ours: peak anonymous MB (of imports)  s      plain: peak MB   s")
        for name, (layers, vocabulary) in {**MODELS, **EMBEDDING}.items():
            model = write_model(Path(parent) / "model", layers, vocabulary)
            for method in ("nf4", "int8"):
                ours, plain = (run(way, method, model, arguments.threads) for way in ("ours", "plain"))
                print(
                    f"{name:15} {method:6} {ours['peak_mb']:8.0f} ({ours['start_mb']:.0f}) {ours['seconds']:22.2f} "
                    f"{plain['peak_mb']:14.0f} {plain['seconds']:8.2f}",
                    flush=True,
                )
        model = write_model(Path(parent) / "model", *MODELS["0.5 GB"])
        print("method  pairs: ours s / plain s; median ratio")
        for method in ("nf4", "int8"):
            pairs = [
                tuple(run(way, method, model, arguments.threads)["seconds"] for way in ("ours", "plain"))
                for _ in range(arguments.pairs)
            ]
            ratio = statistics.median(ours / plain for ours, plain in pairs)
            told = "  ".join(f"{ours:.2f}/{plain:.2f}" for ours, plain in pairs)
            print(f"{method:6} {told}  ratio {ratio:.2f}", flush=True)


def run(way: str, method: str, model: Path, threads: int) -> dict[str, float]:
    """Quantize once in a process of its own."""
    command = [sys.executable, __file__, "--child", way, method, str(model)]
    environment = helper_environment(threads)
    out = subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
    return dict(json.loads(out.stdout.splitlines()[-1]))


def child(way: str, method: str, model: str) -> dict[str, float]:
    """Quantize and say how long it took and how much anonymous memory there was at most."""
    import torch
    import transformers

    from desktop_app.domain.quantize_spec import QuantizeSpec
    from desktop_app.job_folder import create_job_folder
    from desktop_app.library.model_folder import check_model_folder
    from desktop_app.workers import quantize_streaming
    from desktop_app.workers.loading import four_bit_config, int8_config
    from desktop_app.workers.reporter import Reporter

    memory = Memory()
    with tempfile.TemporaryDirectory(dir=Path(model).parent) as parent:
        folder = Path(parent) / "copy"
        folder.mkdir()
        started = time.perf_counter()
        if way == "ours":
            spec = QuantizeSpec(model=model, method=method, device="cpu")  # type: ignore[arg-type]
            reporter = Reporter(create_job_folder(Path(parent), "job", spec))
            facts = check_model_folder(Path(model))
            quantize_streaming.write_copies(spec, Path(model), facts, {spec.method: folder}, reporter)
        else:
            config = four_bit_config(torch.bfloat16, ["lm_head"]) if method == "nf4" else int8_config(["lm_head"])
            loaded = transformers.AutoModelForCausalLM.from_pretrained(
                model, dtype=torch.bfloat16, device_map={"": "cpu"}, quantization_config=config
            )
            loaded.save_pretrained(folder)
        seconds = time.perf_counter() - started
    return {"seconds": seconds, "peak_mb": memory.end() / 1e6, "start_mb": memory.start / 1e6}


class Memory:
    """Looks at this process's anonymous memory two hundred times a second."""

    def __init__(self) -> None:
        self.start = self.peak = anonymous_bytes()
        self._is_ended = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def end(self) -> int:
        """Return the peak."""
        self._is_ended.set()
        self._thread.join()
        return self.peak

    def _watch(self) -> None:
        while not self._is_ended.wait(0.005):
            self.peak = max(self.peak, anonymous_bytes())


def anonymous_bytes() -> int:
    """Read what the kernel says (Linux)."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon"))


def write_model(folder: Path, layers: int, vocabulary: int) -> Path:
    """Write a random Llama, a few million numbers at a time, with an untied output layer of the small vocabulary."""
    import torch
    import transformers

    from desktop_app.workers.tensor_sink import PlannedTensor, TensorSink

    config = transformers.LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=2048,
        intermediate_size=6144,
        num_hidden_layers=layers,
        num_attention_heads=16,
        num_key_value_heads=16,
        tie_word_embeddings=True,
        dtype="bfloat16",
        architectures=["LlamaForCausalLM"],
    )
    folder.mkdir(exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    config.save_pretrained(folder)
    with torch.device("meta"):
        state = transformers.LlamaForCausalLM(config).state_dict()
    shapes = {name: tuple(tensor.shape) for name, tensor in state.items() if name != "lm_head.weight"}
    planned = {name: [PlannedTensor(name=name, dtype=torch.bfloat16, shape=shape)] for name, shape in shapes.items()}
    sink = TensorSink(folder, planned, 10**12)
    torch.manual_seed(1)
    for name, shape in shapes.items():
        elements = torch.Size(shape).numel()
        for start in range(0, elements, 4_000_000):
            values = torch.randn(min(4_000_000, elements - start)).mul_(0.02).bfloat16()
            sink.write(name, name, start * 2, values)
        sink.finish(name)
    return folder


if __name__ == "__main__":
    main()
