#!/usr/bin/env python3
"""An evaluation's figures against plain transformers in double precision, and against lm-eval's word perplexity.

Windows as lm-eval's: each begins with the last token of the one before; its last window reaches back further, so texts
are cut to whole windows. It puts a token before every text: figures agree for tokenizers that do so too, for others but
for the first token of each text.

    python -m tests.bench.evaluation MODEL [VARIANT ...] [--text FILE] [--lm-eval PYTHON_THAT_HAS_IT]
"""

import argparse
import json
import math
import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from desktop_app.domain.evaluation import EvaluationReport, Measurement
from desktop_app.paths import calibration_text
from tests.workers.running import run_job

_PIECE_CHARACTERS = 3_500
_TASK = """task: whole_text
dataset_path: json
dataset_kwargs: {{data_files: {{test: "{data}"}}}}
test_split: test
output_type: loglikelihood_rolling
doc_to_text: ""
doc_to_target: "{{{{text}}}}"
metric_list: [{{metric: word_perplexity}}, {{metric: byte_perplexity}}]
"""
_LM_EVAL = """
import json, sys
from lm_eval import simple_evaluate
from lm_eval.tasks import TaskManager
model, tasks, length = sys.argv[1:]
found = simple_evaluate(
    model="hf", tasks=["whole_text"], task_manager=TaskManager(include_path=tasks, include_defaults=False),
    model_args={"pretrained": model, "dtype": "float32", "add_bos_token": False, "max_length": int(length)},
    device="cpu", bootstrap_iters=0,
)
print("FOUND", json.dumps(found["results"]["whole_text"]["word_perplexity,none"]))
"""


def main() -> None:
    """Print one line for each model."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="+", metavar="MODEL")
    parser.add_argument("--text", type=Path, default=calibration_text())
    parser.add_argument("--length", type=int, default=256, help="tokens that a window predicts")
    parser.add_argument("--pieces", type=int, default=3, help="how many pieces of the text at most")
    parser.add_argument("--lm-eval", default="", metavar="PYTHON", help="an interpreter that has lm-eval 0.4")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        os.environ["WHETSTONE_DATA_DIR"] = f"{place}/data"
        data = Path(place) / "texts.jsonl"
        texts = list(_pieces(asked.text.read_text(encoding="utf-8"), asked))
        data.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts), encoding="utf-8")
        report = _report(Path(place), asked, data)
        _print_by_hand(report, texts, asked.length)
        if asked.lm_eval:
            _print_lm_eval(report, Path(place), data, asked)


def _pieces(text: str, asked: argparse.Namespace) -> Iterator[str]:
    """Cut pieces out of a text that the program leaves whole, each of whole windows."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(asked.models[0])
    for start in range(0, min(len(text), _PIECE_CHARACTERS * asked.pieces), _PIECE_CHARACTERS):
        piece = text[start : start + _PIECE_CHARACTERS].strip()
        while piece and len(tokenizer(piece, add_special_tokens=False)["input_ids"]) % asked.length:
            piece = piece[:-1].rstrip()
        if piece:
            yield piece


def _report(place: Path, asked: argparse.Namespace, data: Path) -> EvaluationReport:
    ran = run_job(
        place, kind="evaluate", model=asked.models[0], variants=asked.models[1:], data=str(data), questions=3,
        max_new_tokens=24, max_length=asked.length + 1, stride=asked.length, max_tokens=100_000, max_rows=10_000,
        threads=1, device="cpu",
    )  # fmt: skip
    return EvaluationReport.model_validate_json((ran.result / "report.json").read_bytes())


def _print_by_hand(report: EvaluationReport, texts: list[str], length: int) -> None:
    """Compute each model's perplexity and divergence by transformers and peft alone."""
    import torch
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(report.original.path)
    rows = [tokenizer(text, return_tensors="pt")["input_ids"][0] for text in texts]
    windows = [row[at : at + length + 1] for row in rows for at in range(0, len(row) - 1, length)]
    print(f"{report.tokens:,} tokens, {len(windows)} windows, {len(texts)} texts")
    print(f"{'model':>34} {'perplexity':>12} {'by hand':>12} {'mean KL':>10} {'by hand':>10} {'peak MB':>8} {'MB':>7}")
    original: list[Any] = []
    for measured in report.models:
        model = _plainly_loaded(measured)
        losses, divergences = [], []
        for number, ids in enumerate(windows):
            with torch.no_grad():
                logs = model(ids[None]).logits[0, :-1].double().log_softmax(-1)
            if measured is report.original:
                original.append(logs)
            losses.append(-logs.gather(1, ids[1:, None]))
            divergences.append((original[number].exp() * (original[number] - logs)).sum(-1))
        perplexity = float(torch.cat(losses).mean().exp())
        kl = measured.mean_kl.value if measured.mean_kl else 0.0
        print(
            f"{measured.label:>34} {_value(measured.perplexity):12.6f} {perplexity:12.6f} {kl:10.6f} "
            f"{float(torch.cat(divergences).mean()):10.6f} {(measured.peak_bytes or 0) / 1e6:8.1f} "
            f"{measured.size_bytes / 1e6:7.2f}"
        )


def _plainly_loaded(measured: Measurement) -> Any:
    import torch
    from transformers import AutoModelForCausalLM

    path = Path(measured.path)
    if measured.format == "adapter":
        from peft import AutoPeftModelForCausalLM

        return AutoPeftModelForCausalLM.from_pretrained(path, dtype=torch.float32).eval()
    files = [path] if path.is_file() else sorted(path.glob("*.gguf"))
    folder, options = (files[0].parent, {"gguf_file": files[0].name}) if files else (path, {})
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, **options).eval()


def _print_lm_eval(report: EvaluationReport, place: Path, data: Path, asked: argparse.Namespace) -> None:
    """Let lm-eval measure the original, and whole copies in fp32, in a process of its own without a network."""
    tasks = place / "tasks"
    tasks.mkdir()
    (tasks / "whole_text.yaml").write_text(_TASK.format(data=data), encoding="utf-8")
    offline = {
        "HF_HUB_OFFLINE": "1",
        "HF_DATASETS_OFFLINE": "1",
        "HF_HOME": str(place / "home"),
        "OMP_NUM_THREADS": "1",
    }
    for measured in report.models:
        if measured.format not in ("F32", "float32", "fp32") and measured is not report.original:
            continue
        ran = subprocess.run(
            [asked.lm_eval, "-c", _LM_EVAL, measured.path, str(tasks), str(asked.length)],
            capture_output=True, text=True, env=os.environ | offline, check=False,
        )  # fmt: skip
        found = [line.removeprefix("FOUND ") for line in ran.stdout.splitlines() if line.startswith("FOUND ")]
        if not found:
            raise SystemExit(ran.stderr[-2000:])
        ours, theirs = _value(measured.word_perplexity), float(json.loads(found[0]))
        print(f"{measured.label}: word perplexity {ours:.6f}, lm-eval {theirs:.6f}, apart {abs(ours / theirs - 1):.2e}")


def _value(estimate: Any) -> float:
    return estimate.value if estimate is not None else math.nan


if __name__ == "__main__":
    main()
