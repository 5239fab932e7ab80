"""The report with tokens against plain `datasets` and tokenizer `map`, on the same file: rows/s, MB/s, peak memory.

One process each, in pairs one after the other; the plain one renders and tokenizes batches as trl's documentation
does. Then the report without tokens on a small and a large file, for its memory.

    python -m tests.bench.data_report --mb 200 --pairs 3 --memory 100 1000
"""

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MODEL = ROOT / "desktop_app" / "demo" / "lindow-1.8m"
_OURS = """
import json, resource, sys, time
from desktop_app.domain.data_choice import DataChoice, TokenChoice
from desktop_app.training_data.report import data_report
began = time.perf_counter()
tokens = TokenChoice(model=sys.argv[2], max_length=512) if sys.argv[2] else None
report = data_report(DataChoice(paths=(sys.argv[1],)), tokens)
count = sum(n for _, n in report.statistics.histogram) if report.statistics else report.rows
print(json.dumps({"rows": report.rows, "counted": count, "s": time.perf_counter() - began,
                  "cpu_s": time.process_time(), "mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))
"""
_PLAIN = """
import json, resource, sys, tempfile, time
import datasets, transformers
tokenizer = transformers.AutoTokenizer.from_pretrained(sys.argv[2])
datasets.disable_progress_bars()
began = time.perf_counter()
with tempfile.TemporaryDirectory() as cache:
    rows = datasets.load_dataset("json", data_files=sys.argv[1], split="train", cache_dir=cache)
    def tokenized(batch):
        texts = [tokenizer.apply_chat_template(one, tokenize=False) for one in batch["messages"]]
        return {"input_ids": tokenizer(texts, add_special_tokens=False)["input_ids"]}
    done = rows.map(tokenized, batched=True, remove_columns=rows.column_names)
    count = len(done)
    taken = time.perf_counter() - began
print(json.dumps({"rows": count, "counted": count, "s": taken,
                  "cpu_s": time.process_time(), "mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))
"""


def write_rows(file: Path, size_bytes: int, seed: int = 1) -> None:
    """Write conversations of about 600 bytes until the file has the size."""
    rng = random.Random(seed)
    words = ["".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=rng.randint(2, 9))) for _ in range(5000)]
    weights = [1 / rank for rank in range(1, len(words) + 1)]
    pool = [" ".join(rng.choices(words, weights, k=rng.randint(10, 60))) + "." for _ in range(20_000)]
    with file.open("w", encoding="utf-8") as stream:
        while stream.tell() < size_bytes:
            said = [{"role": role, "content": rng.choice(pool)} for role in ("user", "assistant")]
            stream.write(json.dumps({"messages": said}) + "\n")


def measured(program: str, file: Path, model: Path | None) -> dict[str, float]:
    """Run one side in a process of its own."""
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", program, str(file), str(model or "")],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--mb", type=int, default=200)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--memory", type=int, nargs="*", default=[])
    parser.add_argument("--folder", default=None)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        file = Path(folder) / "rows.jsonl"
        write_rows(file, arguments.mb * 1_000_000)
        ratios, efforts = [], []
        for _ in range(arguments.pairs):
            ours, plain = measured(_OURS, file, MODEL), measured(_PLAIN, file, MODEL)
            ratios.append(plain["s"] / ours["s"])
            efforts.append(plain["cpu_s"] / ours["cpu_s"])
            for name, one in (("report", ours), ("plain", plain)):
                speed = f"{one['rows'] / one['s']:,.0f} rows/s, {arguments.mb / one['s']:.1f} MB/s"
                print(f"{name:>7}: {speed}, processor {one['cpu_s']:.0f} s, peak {one['mib']:,.0f} MiB", flush=True)
        if ratios:
            print(f"report is {statistics.median(ratios):.2f} times as fast ({', '.join(f'{r:.2f}' for r in ratios)})")
            print(f"for 1 / {statistics.median(efforts):.2f} of the processor time, imports included")
        for megabytes in arguments.memory:
            write_rows(file, megabytes * 1_000_000)
            one = measured(_OURS, file, None)
            print(
                f"{megabytes} MB without tokens: {one['rows']:,.0f} rows, {one['s']:.0f} s, peak {one['mib']:,.0f} MiB",
                flush=True,
            )


if __name__ == "__main__":
    main()
