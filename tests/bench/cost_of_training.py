#!/usr/bin/env python3
"""Processor seconds and peak memory of a whole training, against a plain trl script that does the same work.

Alternating pairs in processes of their own, each from its start to its end; the ratio of each pair counts, with the
95 % interval of its mean (Student's t). Goal: at most 1.02 for both. Ours also tells events, samples the computer
and loads its result once more to check it; plain only trains and saves. Prints JSON last.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from desktop_app.job_folder import JobFolder  # noqa: E402  (the path above)
from desktop_app.paths import demo_data, demo_model  # noqa: E402
from desktop_app.process import helper_environment  # noqa: E402

PLAIN = """
import json, sys
from pathlib import Path
import torch
from datasets import Dataset
from peft import LoraConfig
from transformers import AutoModelForCausalLM, AutoTokenizer, set_seed
from trl import SFTConfig, SFTTrainer

model, data, out, steps, every = sys.argv[1:]
set_seed(42)
rows = [json.loads(line) for line in Path(data).read_text(encoding="utf-8").splitlines()]
trainer = SFTTrainer(
    model=AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32),
    args=SFTConfig(output_dir=out, per_device_train_batch_size=2, gradient_accumulation_steps=4, max_steps=int(steps),
                   learning_rate=1e-3, lr_scheduler_type="cosine", warmup_steps=0.03, max_length=256,
                   assistant_only_loss=True, bf16=False, use_cpu=True, activation_checkpointing=False,
                   save_strategy="no", report_to="none", disable_tqdm=True, logging_steps=int(every)),
    train_dataset=Dataset.from_list(rows),
    processing_class=AutoTokenizer.from_pretrained(model),
    peft_config=LoraConfig(r=16, lora_alpha=32, lora_dropout=0.05, target_modules="all-linear", task_type="CAUSAL_LM"),
)
trainer.train()
trainer.save_model(out)
"""
# Two-sided 95 % points of Student's t for 1 to 30 degrees of freedom.
_T = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131, 2.120,
      2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042)  # fmt: skip


def main() -> None:
    """Run the pairs and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=10)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--logging-steps", type=int, default=1)
    asked = parser.parse_args()
    found: dict[str, list[tuple[float, float]]] = {"ours": [], "plain": []}
    print("pair  ours s  plain s  ratio   ours MB  plain MB  ratio")
    for pair in range(asked.pairs):
        for name in ("ours", "plain") if pair % 2 else ("plain", "ours"):
            with tempfile.TemporaryDirectory() as folder:
                command = (ours if name == "ours" else plain)(Path(folder), asked.steps, asked.logging_steps)
                found[name].append(cost(command, Path(folder)))
        (one, first), (other, second) = found["ours"][-1], found["plain"][-1]
        memory = f"{first / 1e6:9.0f} {second / 1e6:9.0f} {first / second:6.3f}"
        print(f"{pair + 1:4} {one:7.1f} {other:8.1f} {one / other:6.3f} {memory}", flush=True)
    pairs = list(zip(found["ours"], found["plain"], strict=True))
    ratios = {
        "cpu": interval([ours[0] / plain[0] for ours, plain in pairs]),
        "peak": interval([ours[1] / plain[1] for ours, plain in pairs]),
    }
    print(json.dumps({"pairs": len(pairs), "steps": asked.steps, "goal": 1.02, **ratios}))


def ours(folder: Path, steps: int, every: int) -> list[str]:
    """Make a job folder and return what works on it."""
    job = JobFolder(folder / "job")
    job.path.mkdir()
    spec = {"kind": "finetune", "model": str(demo_model()), "data": str(demo_data()), "max_steps": steps}
    spec |= {"held_out": 0, "device": "cpu", "learning_rate": 1e-3, "max_length": 256, "logging_steps": every}
    spec |= {"save_steps": 10 * steps}
    job.spec_file.write_text(json.dumps(spec), encoding="utf-8")
    return [sys.executable, str(ROOT / "main.py"), "--worker", str(job.path)]


def plain(folder: Path, steps: int, every: int) -> list[str]:
    """Return the plain script with its arguments."""
    arguments = [demo_model(), demo_data(), folder / "out", steps, every]
    return [sys.executable, "-c", PLAIN, *map(str, arguments)]


def cost(command: list[str], folder: Path) -> tuple[float, float]:
    """Run a program to its end; return its processor seconds and the most memory it held, in bytes."""
    log = os.open(folder / "log.txt", os.O_RDWR | os.O_CREAT)
    into_log = [(os.POSIX_SPAWN_DUP2, log, 1), (os.POSIX_SPAWN_DUP2, log, 2)]
    child = os.posix_spawn(command[0], command, helper_environment(1), file_actions=into_log)
    _, status, used = os.wait4(child, 0)
    if status:
        raise SystemExit((folder / "log.txt").read_text(errors="replace")[-3000:])
    return used.ru_utime + used.ru_stime, used.ru_maxrss * 1024.0


def interval(ratios: list[float]) -> dict[str, float]:
    """Return median, mean and the 95 % interval of the mean."""
    mean, half = statistics.mean(ratios), 0.0
    if len(ratios) > 1:
        half = _T[min(len(ratios), 31) - 2] * statistics.stdev(ratios) / len(ratios) ** 0.5
    values = {"median": statistics.median(ratios), "mean": mean, "low": mean - half, "high": mean + half}
    return {name: round(value, 4) for name, value in values.items()}


if __name__ == "__main__":
    main()
