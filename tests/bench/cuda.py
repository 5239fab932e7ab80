"""On a machine with an NVIDIA GPU: our worker against a plain trl script, on random Llamas of 1 and 8 billion.

    python tests/bench/cuda.py --size 1b --methods lora,qlora,nf4,int8 --steps 20

Random weights cost the same time and memory as trained ones. Prints one JSON line per run; `plan_bytes` is
what the memory plan said beforehand. Speeds are medians over the steps after the first five. Trainings run as plain
trl, as ours, as ours on packed rows, and, where liger-kernel is installed, with its kernels put into transformers.
"""

import argparse
import importlib.util
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from desktop_app.paths import demo_data, demo_model  # noqa: E402

SIZES = {
    "1b": {
        "hidden_size": 2048,
        "intermediate_size": 5632,
        "num_hidden_layers": 22,
        "num_attention_heads": 32,
        "num_key_value_heads": 4,
    },
    "8b": {
        "hidden_size": 4096,
        "intermediate_size": 14336,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
    },
}
VOCABULARY = {"1b": 32_000, "8b": 128_256}
LENGTH, BATCH = 512, 4
PACKED = {"packing": True}
# Logits are trl's own fused output layer in any case.
LIGER = (
    "import runpy, sys; from liger_kernel.transformers import apply_liger_kernel_to_llama as fuse\n"
    "fuse(cross_entropy=False, fused_linear_cross_entropy=False)\n"
    "sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"
)


def main() -> int:
    """Make the model and the data, run what was asked for, print a line each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", choices=SIZES, default="1b")
    parser.add_argument("--methods", default="lora,qlora,nf4,int8")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--plain", action="store_true", help="internal: be the plain trl script")
    parser.add_argument("folder", nargs="?")
    arguments = parser.parse_args()
    if arguments.plain:
        return plain(Path(arguments.folder), arguments.methods, arguments.steps)
    if problem := no_gpu():
        print(problem, file=sys.stderr)
        return 2
    has_liger = importlib.util.find_spec("liger_kernel") is not None
    if not has_liger:
        print(json.dumps({"skipped": "ours with liger-kernel, which is not installed here"}), flush=True)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        make_model(folder / "model", arguments.size)
        make_data(folder / "data.jsonl")
        for method in arguments.methods.split(","):
            if method in ("lora", "qlora"):
                print(json.dumps(run_plain(folder, method, arguments.steps)), flush=True)
                print(json.dumps(run_ours(folder, method, arguments.steps)), flush=True)
                print(json.dumps(run_ours(folder, method, arguments.steps, PACKED)), flush=True)
                if has_liger:
                    print(json.dumps(run_ours(folder, method, arguments.steps, program=LIGER)), flush=True)
                    print(json.dumps(run_ours(folder, method, arguments.steps, PACKED, LIGER)), flush=True)
            else:
                print(json.dumps(run_ours(folder, method, 0)), flush=True)
    return 0


def no_gpu() -> str:
    """Say why nothing can be measured here; '' with a GPU that torch can use."""
    import torch

    if torch.cuda.is_available():
        return ""
    return f"torch {torch.__version__} sees no NVIDIA GPU here, so there is nothing to measure. Run it where one is."


def make_model(path: Path, size: str) -> None:
    """Write a Llama with random bf16 weights and the demo's tokenizer."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    start = time.monotonic()
    config = LlamaConfig(
        vocab_size=VOCABULARY[size],
        max_position_embeddings=4096,
        tie_word_embeddings=False,
        dtype="bfloat16",
        **SIZES[size],
    )
    torch.set_default_dtype(torch.bfloat16)
    with torch.device("cuda"):
        model = LlamaForCausalLM(config)
    torch.set_default_dtype(torch.float32)
    model.save_pretrained(path, max_shard_size="4GB")
    for file in demo_model().glob("*token*"):
        shutil.copy(file, path)
    for file in demo_model().glob("*.jinja"):
        shutil.copy(file, path)
    print(
        json.dumps(
            {
                "made": size,
                "parameters": sum(p.numel() for p in model.parameters()),
                "seconds": round(time.monotonic() - start, 1),
            }
        ),
        flush=True,
    )


def make_data(path: Path) -> None:
    """Join demo rows until each conversation is longer than the cut, so that every batch is full."""
    rows = [json.loads(line) for line in demo_data().read_text(encoding="utf-8").splitlines()]
    with path.open("w", encoding="utf-8") as out:
        for start in range(400):
            turns = []
            for step in range(60):
                turns += [turn for turn in rows[(start * 7 + step) % len(rows)]["messages"] if turn["role"] != "system"]
            out.write(json.dumps({"messages": turns}) + "\n")


def run_ours(
    folder: Path, method: str, steps: int, settings: dict[str, object] | None = None, program: str = ""
) -> dict[str, object]:
    """Run our worker on a job folder of its own and read its events; `program` starts it in another way."""
    from desktop_app.domain.event import Failed, Metric, Succeeded
    from desktop_app.domain.spec import parse_spec
    from desktop_app.hardware.sensors import machine_sample
    from desktop_app.job_folder import create_job_folder
    from desktop_app.library.model_folder import model_facts
    from desktop_app.memory_plan import memory_plan

    model = str(folder / "model")
    if steps:
        spec = parse_spec(
            {
                "kind": "finetune",
                "model": model,
                "data": str(folder / "data.jsonl"),
                "method": method,
                "max_steps": steps,
                "batch_size": BATCH,
                "gradient_accumulation": 1,
                "max_length": LENGTH,
                "held_out": 0.0,
                "dropout": 0.0,
                "scheduler": "constant",
                "warmup_ratio": 0.0,
                **(settings or {}),
            }
        )
    else:
        spec = parse_spec({"kind": "quantize", "model": model, "method": method})
    plan = memory_plan(spec, model_facts(Path(model)), machine_sample())
    job = create_job_folder(folder / "jobs", f"ours-{method}", spec)
    start = time.monotonic()
    command = [sys.executable, *(["-c", program] if program else []), str(ROOT / "main.py"), "--worker", str(job.path)]
    with job.console_file.open("wb") as console:
        code = subprocess.call(command, stdout=console, stderr=console)
    seconds = time.monotonic() - start
    events = job.read_events().events
    speeds = [
        event.values["tokens_per_s"] for event in events if isinstance(event, Metric) and "tokens_per_s" in event.values
    ]
    last = events[-1]
    found: dict[str, object] = {
        "who": " with ".join(["ours", *(["packing"] if settings else []), *(["liger"] if program else [])]),
        "method": method,
        "exit": code,
        "seconds": round(seconds, 1),
        "plan_bytes": plan.needed_bytes,
    }
    if len(speeds) > 6:
        found["tokens_per_s"] = round(statistics.median(speeds[5:]))
    if isinstance(last, Succeeded):
        found |= {"summary": last.summary, "checks": last.checks}
    elif isinstance(last, Failed):
        found |= {"message": last.message, "console": job.console_file.read_text(errors="replace")[-1500:]}
    shutil.rmtree(job.path)
    return found


def run_plain(folder: Path, method: str, steps: int) -> dict[str, object]:
    """Run the plain script in a process of its own, so that both pay for their imports."""
    start = time.monotonic()
    command = [sys.executable, __file__, "--plain", "--methods", method, "--steps", str(steps), str(folder)]
    said = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, "HF_HUB_OFFLINE": "1"}
    )
    lines = [line for line in said.stdout.splitlines() if line.startswith('{"plain"')]
    found = json.loads(lines[-1])["plain"] if lines else {"error": said.stderr[-1500:]}
    return {"who": "trl", "method": method, "seconds": round(time.monotonic() - start, 1), **found}


def plain(folder: Path, method: str, steps: int) -> int:
    """Train as a reader of trl's documentation would."""
    import torch
    from datasets import load_dataset
    from peft import LoraConfig
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig, TrainerCallback
    from trl import SFTConfig, SFTTrainer

    class Clock(TrainerCallback):
        times: list[float] = []

        def on_step_end(self, *_: object, **__: object) -> None:
            torch.cuda.synchronize()
            self.times.append(time.monotonic())

    quantization = None
    if method == "qlora":
        quantization = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=torch.bfloat16,
        )
    model = AutoModelForCausalLM.from_pretrained(
        folder / "model", dtype=torch.bfloat16, quantization_config=quantization, device_map={"": 0}
    )
    rows = load_dataset("json", data_files=str(folder / "data.jsonl"), split="train")
    settings = SFTConfig(
        output_dir=str(folder / f"plain-{method}"),
        max_steps=steps,
        per_device_train_batch_size=BATCH,
        gradient_accumulation_steps=1,
        max_length=LENGTH,
        learning_rate=2e-4,
        lr_scheduler_type="constant",
        bf16=True,
        assistant_only_loss=True,
        logging_steps=1,
        report_to="none",
        save_strategy="no",
        seed=42,
        gradient_checkpointing=False,
    )
    adapter = LoraConfig(r=16, lora_alpha=32, lora_dropout=0.0, target_modules="all-linear", task_type="CAUSAL_LM")
    trainer = SFTTrainer(model=model, args=settings, train_dataset=rows, peft_config=adapter, callbacks=[Clock()])
    torch.cuda.reset_peak_memory_stats()
    trainer.train()
    steps_s = [b - a for a, b in zip(Clock.times[5:], Clock.times[6:], strict=False)]
    found = {
        "tokens_per_s": round(BATCH * LENGTH / statistics.median(steps_s)),
        "peak_bytes": torch.cuda.max_memory_allocated(),
        "final_loss": trainer.state.log_history[-2].get("loss"),
    }
    print(json.dumps({"plain": found}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
