"""The memory plan of jobs that do not train against the measured peak of their workers, on the processor.

    python tests/bench/other_plans_against_measured.py [--only evaluate]

Random Llamas of two sizes and vocabularies. Measured is the most that a worker and the processes it starts hold
together, what they share counted once; not pages of mapped weights, which the system takes back
where it needs them. Finished copies are opened as where memory is short, which is what a plan counts. Linux only.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from desktop_app.domain.event import Succeeded  # noqa: E402
from desktop_app.domain.machine import MachineSample  # noqa: E402
from desktop_app.domain.spec import AnySpec, parse_spec  # noqa: E402
from desktop_app.job_folder import create_job_folder  # noqa: E402
from desktop_app.library.model_folder import listed_facts  # noqa: E402
from desktop_app.memory_plan import memory_plan  # noqa: E402
from desktop_app.paths import demo_model  # noqa: E402
from desktop_app.process import helper_environment  # noqa: E402
from tests.bench.gguf import SHORT_OF_MEMORY  # noqa: E402

_HEADS = {"num_attention_heads": 8, "num_key_value_heads": 4, "max_position_embeddings": 4096}
MODELS: dict[str, dict[str, Any]] = {
    "small": {**_HEADS, "vocab_size": 8192, "hidden_size": 512, "intermediate_size": 1408, "num_hidden_layers": 4},
    "words": {**_HEADS, "vocab_size": 65536, "hidden_size": 512, "intermediate_size": 1408, "num_hidden_layers": 4},
    "large": {**_HEADS, "vocab_size": 8192, "hidden_size": 1024, "intermediate_size": 2816, "num_hidden_layers": 8},
}
_ROOMY = MachineSample(time=0, cpu=0, memory_total=2**50, memory_used=0)
_LOOK_S = 0.02
_WEIGHTS = (".safetensors", ".bin", ".gguf")
_MAKE = """
import json, sys, torch
from pathlib import Path
from transformers import AutoModelForCausalLM, LlamaConfig
torch.manual_seed(1)
folder, sizes, old = Path(sys.argv[1]), json.loads(sys.argv[2]), Path(sys.argv[3])
config = LlamaConfig(**sizes, bos_token_id=1, eos_token_id=2)
model = AutoModelForCausalLM.from_config(config).to(torch.bfloat16)
model.save_pretrained(folder)
config.save_pretrained(old)
torch.save(dict(model.state_dict()), old / "pytorch_model.bin")
"""


def main() -> int:
    """Measure and print the table; 0 if no plan is below what was measured by more than 3 %."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="")
    parser.add_argument("--models", nargs="*", default=list(MODELS), choices=list(MODELS))
    arguments = parser.parse_args()
    print("| model | job | plan MB | measured MB | plan / measured |\n|---|---|---|---|---|")
    ratios = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / "text.txt").write_text("A small boat went over the calm lake in the evening. " * 4000)
        for model in arguments.models:
            _write_model(folder / model, MODELS[model])
            for name, settings in _jobs(folder, model):
                if arguments.only not in name:
                    continue
                spec = parse_spec({**settings, "threads": 1})
                planned = memory_plan(spec, listed_facts(Path(settings["model"])), _ROOMY).needed_bytes
                measured = _measured_bytes(spec, folder / "jobs")
                ratios.append(planned / measured)
                print(
                    f"| {model} | {name} | {planned / 1e6:,.0f} | {measured / 1e6:,.0f} | {ratios[-1]:.3f} |",
                    flush=True,
                )
    below = 1 - min(ratios)
    print(f"\n{len(ratios)} jobs: from {below:.1%} below the measured to {max(ratios) - 1:.1%} above")
    return 0 if below <= 0.03 else 1


def _jobs(folder: Path, model: str) -> Iterator[tuple[str, dict[str, Any]]]:
    path, old = str(folder / model), str(folder / f"{model}-old")
    text = {"kind": "evaluate", "model": path, "data": str(folder / "text.txt"), "device": "cpu", "questions": 0}
    for length in (512, 2048):
        more = {"variants": [path + "-copy"], "max_length": length, "max_tokens": 2 * length}
        yield f"evaluate, {length}", {**text, **more}
    yield "convert", {"kind": "convert", "model": old}
    for form, more in (("whole", {}), ("gguf", {"gguf_type": "gguf_q8_0"})):
        output = str(folder / f"{model}-{form}")
        yield f"export {form}", {"kind": "export", "model": path, "form": form, "output": output, **more}
    yield "quantize nf4", {"kind": "quantize", "model": path, "method": "nf4"}
    yield "bring in", {"kind": "bring_in", "model": path, "output": str(folder / f"{model}-brought")}
    yield "bundle", {"kind": "bundle", "model": path, "output": str(folder / f"{model}-bundle"), "parts": ["model"]}


def _write_model(folder: Path, sizes: dict[str, Any]) -> None:
    """Write random bf16 weights, the same under another name, and in the old format."""
    copy, old = folder.with_name(f"{folder.name}-copy"), folder.with_name(f"{folder.name}-old")
    command = [sys.executable, "-W", "ignore", "-c", _MAKE, str(folder), json.dumps(sizes), str(old)]
    subprocess.run(command, check=True, capture_output=True, env=helper_environment())
    for pattern in ("*token*", "*.jinja"):
        for file in demo_model().glob(pattern):
            (folder / file.name).write_bytes(file.read_bytes())
            (old / file.name).write_bytes(file.read_bytes())
    copy.mkdir()
    for file in folder.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())


def _measured_bytes(spec: AnySpec, jobs: Path) -> int:
    job = create_job_folder(jobs, f"job-{len(list(jobs.glob('*')))}", spec)
    with job.console_file.open("wb") as console:
        opens = spec.kind in ("quantize", "export")
        role = ["-c", SHORT_OF_MEMORY] if opens else [str(ROOT / "main.py"), "--worker"]
        command = [sys.executable, *role, str(job.path)]
        worker = subprocess.Popen(command, stdout=console, stderr=console, env=helper_environment(threads=1), cwd=ROOT)
        held = _watched(psutil.Process(worker.pid), worker)
    last = job.read_events().events[-1]
    if not isinstance(last, Succeeded):
        raise SystemExit(f"{spec.kind} did not succeed: {last}")
    return held


def _watched(process: psutil.Process, worker: "subprocess.Popen[bytes]") -> int:
    """Look until it has ended: at what it wrote itself often, at the files it has mapped once a second."""
    own, files, again = 0, 0, 0.0
    while worker.poll() is None:
        with suppress(psutil.Error):
            processes = (process, *process.children(recursive=True))
            own = max(own, sum(each.memory_info().rss - each.memory_info().shared for each in processes))
            if time.monotonic() > again:
                files, again = max(files, _file_bytes(processes)), time.monotonic() + 1
        time.sleep(_LOOK_S)
    return own + files


def _file_bytes(processes: tuple[psutil.Process, ...]) -> int:
    """Count mapped files but for weights: what several processes map once, where most of it is in memory."""
    held: dict[str, int] = {}
    for part in (part for process in processes for part in process.memory_maps()):
        if not part.path.endswith(_WEIGHTS):
            held[part.path] = max(held.get(part.path, 0), part.rss - part.anonymous)
    return sum(held.values())


if __name__ == "__main__":
    raise SystemExit(main())
