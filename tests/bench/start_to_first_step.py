#!/usr/bin/env python3
"""Seconds from the start of a worker to its first training step, against a plain trl script with the same settings.

Alternating pairs, because the machine's pace changes; goal: a ratio of at most 1.05. Both train LoRA on the demo
without held-out rows, since the plain script measures nothing before it begins.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from desktop_app.job_folder import JobFolder  # noqa: E402  (the path above)
from desktop_app.paths import demo_data, demo_model  # noqa: E402
from desktop_app.process import helper_environment  # noqa: E402

PLAIN = """
import json, sys, time
from pathlib import Path
from datasets import Dataset
from peft import LoraConfig
from transformers import TrainerCallback
from trl import SFTConfig, SFTTrainer

class First(TrainerCallback):
    def on_step_end(self, args, state, control, **more):
        print(time.time(), flush=True)
        control.should_training_stop = True

model, data, out = sys.argv[1:]
rows = [json.loads(line) for line in Path(data).read_text(encoding="utf-8").splitlines()]
trainer = SFTTrainer(
    model=model,
    args=SFTConfig(output_dir=out, per_device_train_batch_size=2, gradient_accumulation_steps=4, max_steps=50,
                   learning_rate=2e-4, max_length=512, assistant_only_loss=True, bf16=False, use_cpu=True,
                   gradient_checkpointing=False, save_strategy="no", report_to="none", disable_tqdm=True,
                   model_init_kwargs={"dtype": "float32"}),
    train_dataset=Dataset.from_list(rows),
    peft_config=LoraConfig(r=16, lora_alpha=32, lora_dropout=0.05, target_modules="all-linear", task_type="CAUSAL_LM"),
    callbacks=[First()],
)
trainer.train()
"""


def main() -> None:
    """Run the pairs and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=5)
    arguments = parser.parse_args()
    worker, plain = [], []
    print("pair  worker s  plain trl s  ratio")
    for pair in range(arguments.pairs):
        with tempfile.TemporaryDirectory() as folder:
            order = (worker_seconds, plain_seconds) if pair % 2 else (plain_seconds, worker_seconds)
            times = {measure: measure(Path(folder)) for measure in order}
        worker.append(times[worker_seconds])
        plain.append(times[plain_seconds])
        print(f"{pair + 1:4}  {worker[-1]:8.2f}  {plain[-1]:11.2f}  {worker[-1] / plain[-1]:5.2f}", flush=True)
    ratios = [one / other for one, other in zip(worker, plain, strict=True)]
    print(
        f"median {statistics.median(worker):7.2f}  {statistics.median(plain):11.2f}  {statistics.median(ratios):5.2f}"
        "  (goal 1.05)"
    )


def worker_seconds(folder: Path) -> float:
    """Start a worker as the supervisor does and wait for the first step's progress."""
    job = JobFolder(folder / "job")
    job.path.mkdir()
    spec = {"kind": "finetune", "model": str(demo_model()), "data": str(demo_data())}
    spec |= {"max_steps": 50, "held_out": 0, "device": "cpu"}
    job.spec_file.write_text(json.dumps(spec), encoding="utf-8")
    started = time.time()
    with job.console_file.open("wb") as console:
        process = subprocess.Popen(
            [sys.executable, str(ROOT / "main.py"), "--worker", str(job.path)],
            env=helper_environment(1),
            stdout=console,
            stderr=console,
        )
        while process.poll() is None:
            for event in job.read_events().events:
                if event.kind == "progress" and event.unit == "step" and event.done >= 1:
                    process.kill()
                    process.wait()
                    return event.time - started
            time.sleep(0.05)
    sys.exit(f"The worker ended before its first step: {job.console_file.read_text()[-2000:]}")


def plain_seconds(folder: Path) -> float:
    """Run the plain script in the same environment until its first step."""
    started = time.time()
    out = subprocess.run(
        [sys.executable, "-c", PLAIN, str(demo_model()), str(demo_data()), str(folder / "trl")],
        env=helper_environment(1),
        capture_output=True,
        text=True,
        check=True,
    )
    return float(next(line for line in out.stdout.splitlines() if line[:1].isdigit())) - started


if __name__ == "__main__":
    main()
