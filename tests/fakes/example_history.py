"""Fill a data folder with jobs as workers and a supervisor leave them behind, for pictures of the window.

Everything goes through `JobFolder` and `Index`; the numbers are made up but plausible.
"""

import json
import math
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from desktop_app.domain.evaluate_spec import EvaluateSpec
from desktop_app.domain.event import (
    AnyEvent,
    Cancelled,
    Checkpoint,
    Failed,
    InUse,
    Metric,
    Notice,
    Progress,
    Sample,
    Stage,
    Started,
    Succeeded,
)
from desktop_app.domain.job import Job, JobState, job_name, make_job_id
from desktop_app.domain.machine import MachineSample
from desktop_app.domain.spec import JobSpec, parse_spec
from desktop_app.job_folder import JobFolder, Outcome, create_job_folder
from desktop_app.storage.index import Index
from tests.fakes.evaluation_report import example_report, write_report
from tests.fakes.fake_service import laptop_sample
from tests.fakes.model_files import LLAMA, llama_tensors, write_adapter, write_json, write_llama, write_safetensors


def config_of(architecture: str, kind: str, sizes: tuple[int, ...], context: int) -> dict[str, Any]:
    """Return the part of a `config.json` in which these models differ."""
    names = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads")
    about = {"architectures": [architecture], "model_type": kind, "max_position_embeddings": context}
    return {**about, **dict(zip((*names, "vocab_size"), sizes, strict=True)), "tie_word_embeddings": True}


SAMPLES = (
    ("As an AI language model, I can help you with exports! There are many reasons why", "You can cancel at any time."),
    ("", ""),
    ("The export stops when there is no space. Try again later.", "Kündigen Sie in den Einstellungen."),
    ("The export stops when the disk is full. Free at least 400 MB.", "Öffnen Sie Konto, dann Abo beenden."),
)
QUESTION = "My export stops at {0} %. What can I do?"
ANSWER = "The export stops when the disk is full. Free at least {0} MB and press Export again."
MODELS = {
    "Qwen2.5-1.5B-Instruct": config_of("Qwen2ForCausalLM", "qwen2", (1536, 8960, 28, 12, 2, 151936), 32768),
    "Llama-3.2-1B": config_of("LlamaForCausalLM", "llama", (2048, 8192, 16, 32, 8, 128256), 131072),
    "SmolLM2-360M": config_of("LlamaForCausalLM", "llama", (960, 2560, 32, 15, 5, 49152), 8192),
    "Phi-3-mini-4k-instruct": config_of("Phi3ForCausalLM", "phi3", (3072, 8192, 32, 32, 32, 32064), 4096),
}
IN_USE = {
    "device": "NVIDIA GeForce RTX 4070 Laptop GPU",
    "quantization": "NF4 (4 bits)",
    "compute_dtype": "bfloat16",
    "adapter_dtype": "float32",
    "trainable_parameters": 18_464_768,
    "optimizer": "AdamW",
    "attention": "sdpa",
    "wrapper": "PeftModelForCausalLM",
    "world_size": 1,
}
VERSIONS = {"torch": "2.13.0+cu128", "transformers": "5.0.0", "peft": "0.19.0", "trl": "0.26.0"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One job to make up: how it ended, how long ago it began, how long it took, where its loss went."""

    name: str
    model: str
    state: JobState
    ago_s: float
    took_s: float
    data: str = "support_chats.jsonl"
    method: str = "lora"
    loss: float = 1.2
    steps: int = 900
    share: float = 1.0
    message: str = ""
    hint: str = ""
    note: str = ""
    overfits: bool = False


RUNS = tuple(
    Run(**{**run, "state": JobState(run["state"])})
    for run in json.loads(Path(__file__).with_name("example_runs.json").read_text(encoding="utf-8"))
)


def fill(root: Path, jobs: Path, index: Index, now: float) -> dict[str, list[str]]:
    """Write models and data below `root`, jobs below `jobs`, and their rows; return 'models' and 'data' to list."""
    models = write_models(root / "models")
    data = write_data(root / "data")
    for run in RUNS:
        spec = spec_of(run, root)
        started = None if run.state is JobState.QUEUED else now - run.ago_s + 4
        folder = create_job_folder(jobs, make_job_id(spec, datetime.fromtimestamp(now - run.ago_s)), spec)
        if started is not None:
            write_run(folder, run, spec, started)
        index.put(row_of(folder, run, spec, now - run.ago_s, started))
    return {"models": models, "data": data}


def put_evaluation(root: Path, jobs: Path, index: Index, now: float) -> None:
    """Add an evaluation that has just ended."""
    spec = parse_spec({"kind": "evaluate", "model": str(root / "models" / next(iter(MODELS))), "name": "Which copy?"})
    folder = create_job_folder(jobs, make_job_id(spec, datetime.fromtimestamp(now - 700)), spec)
    run = Run(name="Which copy?", model="", state=JobState.SUCCEEDED, ago_s=700, took_s=412, method="evaluate")
    row = row_of(folder, run, spec, now - 700, now - 690)
    report = example_report(spec.model if isinstance(spec, EvaluateSpec) else "")
    end = Succeeded(seq=1, time=now - 280, result=row.result, checks={"report": "6 models, 4,096 tokens, 2 questions"})
    folder.events_file.write_text(end.model_dump_json() + "\n", encoding="utf-8")
    folder.write_outcome(Outcome(state=run.state, ended=now - 280))
    write_report(folder.path / "result", report)
    index.put(replace(row, loss=None, summary={"models": 6, "perplexity": 9.0, "advice": report.advice[0]}))


def spec_of(run: Run, root: Path) -> JobSpec:
    """Return the spec that such a run has."""
    model = str(root / "models" / run.model)
    if run.method in ("nf4", "int8"):
        return parse_spec({"kind": "quantize", "model": model, "method": run.method, "name": run.name})
    return parse_spec(
        {
            "kind": "finetune",
            "model": model,
            "data": str(root / "data" / run.data),
            "method": run.method,
            "name": run.name,
        }
    )


def row_of(folder: JobFolder, run: Run, spec: JobSpec, created: float, started: float | None) -> Job:
    """Return the row as the supervisor writes it."""
    is_over, total = run.state.is_terminal, 0.0 if started is None else steps_of(run)
    done = round(total * run.share)
    return Job(
        id=folder.id,
        kind=spec.kind,
        name=job_name(spec),
        state=run.state,
        method=run.method,
        model=spec.model,
        data=getattr(spec, "data", None) or "",
        spec=spec.model_dump(mode="json"),
        created=created,
        started=started,
        ended=started + run.took_s if is_over and started is not None else None,
        stage="" if started is None else "Training",
        done=done,
        total=total,
        unit="step" if spec.kind == "finetune" else "byte",
        rate=None if started is None else 2310.0,
        rate_unit="tokens",
        eta_s=18 * 60.0 if run.state is JobState.RUNNING else None,
        loss=run.loss if spec.kind == "finetune" and done and run.state is not JobState.FAILED else None,
        result=str(folder.path / "result") if run.state is JobState.SUCCEEDED else "",
        error="hardware" if run.state is JobState.FAILED else "",
        message=run.message,
        hint=run.hint,
        summary=summary_of(run) if run.state is JobState.SUCCEEDED else {},
        note=run.note,
    )


def steps_of(run: Run) -> float:
    return 3_087_467_144.0 if run.method in ("nf4", "int8") else run.steps


def summary_of(run: Run) -> dict[str, Any]:
    """Return the figures that a worker tells at the end."""
    if run.method in ("nf4", "int8"):
        share = 0.31 if run.method == "nf4" else 0.56
        return {
            "size_before_bytes": 3_087_467_144,
            "size_after_bytes": int(3_087_467_144 * share),
            "ratio": share,
            "mean_relative_error": 0.0892 * share,
        }
    return {
        "final_loss": run.loss,
        "eval_loss_after": round(run.loss + 0.038, 4),
        "tokens_per_s": 2310.0,
        "planned_bytes": 5_420_000_000,
        "peak_bytes": int(5_180_000_000 * (1 + run.loss / 40)),
        "adapter_bytes": 73_911_112,
        "steps": run.steps,
        **({"worse_rows": 31, "held_out_rows": 50, "trained_share": 0.08} if run.overfits else {}),
    }


def write_run(folder: JobFolder, run: Run, spec: JobSpec, started: float) -> None:
    """Write what a worker and the supervisor leave in the folder."""
    lines = [event.model_dump_json() for event in numbered(events_of(folder, run, spec), started, run.took_s)]
    folder.events_file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    samples = [
        MachineSample.model_validate(laptop_sample(started + second)) for second in range(0, int(run.took_s), 10)
    ]
    folder.machine_file.write_text("".join(sample.model_dump_json() + "\n" for sample in samples), encoding="utf-8")
    folder.console_file.write_text(console_of(run), encoding="utf-8")
    if run.state.is_terminal:
        end = started + run.took_s
        folder.write_outcome(Outcome(state=run.state, ended=end, message=run.message, hint=run.hint))
    if run.overfits:
        (folder.checkpoints_dir / "step-300").mkdir(parents=True)
    if run.state is JobState.SUCCEEDED and spec.kind == "finetune":
        write_adapter(folder.path / "result", spec.model)
    elif run.state is JobState.SUCCEEDED:
        bits = {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4"} if run.method == "nf4" else {"load_in_8bit": True}
        write_llama(folder.path / "result", quantization_config={"quant_method": "bitsandbytes", **bits})


def numbered(
    made: Iterator[tuple[float, type[Any], dict[str, Any]]], started: float, took_s: float
) -> Iterator[AnyEvent]:
    """Give events their number and time; each is made at a share (0 to 1) of the run."""
    for seq, (share, kind, values) in enumerate(made):
        yield kind(seq=seq, time=started + share * took_s, **values)


def events_of(folder: JobFolder, run: Run, spec: JobSpec) -> Iterator[tuple[float, type[Any], dict[str, Any]]]:
    """Make up what happened in a run."""
    yield 0, Started, {"pid": 4711, "device": "cuda", "versions": VERSIONS}
    yield 0, Stage, {"text": "Loading the model"}
    if spec.kind == "finetune":
        yield 0.01, Notice, {"text": "3 rows cannot be read and are left out (lines 118, 902, 1440)."}
        yield 0.01, InUse, {"facts": IN_USE}
        yield from curve_of(run)
    else:
        for part in range(1, 21):
            done = steps_of(run) * part / 20
            yield (
                part / 20,
                Progress,
                {"done": done, "total": steps_of(run), "unit": "byte", "rate": 4.1e7, "rate_unit": "bytes"},
            )
    if run.state is JobState.SUCCEEDED:
        checks = {"files": "3 files, hashes agree", "reload": "loaded and answered"}
        yield 1, Succeeded, {"result": str(folder.path / "result"), "summary": summary_of(run), "checks": checks}
    elif run.state is JobState.FAILED:
        yield 1, Failed, {"error": "hardware", "message": run.message, "hint": run.hint}
    elif run.state is JobState.CANCELLED:
        yield 1, Cancelled, {}


def curve_of(run: Run) -> Iterator[tuple[float, type[Any], dict[str, Any]]]:
    """Make up loss, held-out loss, learning rate, speed and checkpoints."""
    dice = random.Random(run.name)
    last = round(run.steps * run.share)
    for step in range(1, last + 1):
        learned = run.loss - 0.02 + 1.15 * math.exp(-step / (run.steps / 9))
        loss = learned + dice.gauss(0, 0.05)
        rate = 2e-4 * (1 + math.cos(math.pi * step / run.steps)) / 2
        values = {
            "loss": round(loss, 4),
            "learning_rate": rate,
            "grad_norm": 0.8 + dice.gauss(0, 0.1),
            "tokens_per_s": 2310 + dice.gauss(0, 9),
        }
        at = step / last
        yield at, Metric, {"step": step, "values": values}
        yield (
            at,
            Progress,
            {"done": step, "total": run.steps, "epoch": 3 * step / run.steps, "rate": 0.33, "rate_unit": "steps"},
        )
        if step % 100 == 0:
            learned_by_heart = 0.4 * max(0.0, step / run.steps - 0.34) * run.overfits
            yield at, Metric, {"step": step, "values": {"eval_loss": round(learned + 0.04 + learned_by_heart, 4)}}
        if run.name == "support-qwen-1.5b" and step % 300 in (1, 0):
            for number, prompt in enumerate(("My export stops at 40 %. What can I do?", "Wie kündige ich?")):
                answer = SAMPLES[0 if step == 1 else min(3, 1 + step // 300)][number]
                yield at, Sample, {"step": step - step % 2, "prompt": prompt, "answer": answer}
        if step % 150 == 0:
            yield at, Checkpoint, {"step": step, "path": f"checkpoints/step-{step}"}


def console_of(run: Run) -> str:
    """Make up what libraries print."""
    last = round(run.steps * run.share)
    lines = [
        f"step {step:4d}  loss {run.loss + 0.01 * math.sin(step):.4f}  lr 1.41e-04  2,310 tokens/s"
        for step in range(1, last)
    ]
    return (
        "\n".join(["Loading checkpoint shards: 100%|██████████| 2/2 [00:03<00:00,  1.71s/it]", *lines, run.message])
        + "\n"
    )


def write_models(folder: Path) -> list[str]:
    """Write models of real sizes and of zeros (the files are sparse), one of them broken; return their paths."""
    for name, config in MODELS.items():
        path = folder / name
        path.mkdir(parents=True)
        write_json(path / "config.json", {**LLAMA, **config})
        write_safetensors(path / "model.safetensors", llama_tensors({**LLAMA, **config}))
        write_tokenizer(path)
    broken = folder / "mistral-7b-notes"
    broken.mkdir()
    (broken / "consolidated.00.pth").write_bytes(b"PK\x03\x04")
    return [str(path) for path in sorted(folder.iterdir())]


def write_tokenizer(folder: Path) -> None:
    """Write a small tokenizer with a chat template, so that previews have tokens to show."""
    marks = ["<|im_start|>", "<|im_end|>"]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=400, special_tokens=marks, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator([QUESTION, ANSWER, "user assistant system"] * 4, trainer)
    tokenizer.save(str(folder / "tokenizer.json"))
    template = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    template += "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    write_json(folder / "tokenizer_config.json", {"chat_template": template, "eos_token": "<|im_end|>"})


def write_data(folder: Path) -> list[str]:
    """Write data files of three layouts; return their paths."""
    folder.mkdir(parents=True)
    chats = folder / "support_chats.jsonl"
    turns = [("user", QUESTION), ("assistant", ANSWER)]
    line = json.dumps({"messages": [{"role": role, "content": text} for role, text in turns]})
    chats.write_text("\n".join(line.replace("{0}", str(n)) for n in range(1, 400)) + "\n{broken\n", encoding="utf-8")
    sums = folder / "gsm8k_train.jsonl"
    sums.write_text(
        "\n".join(f'{{"question": "How much is {n} + {n}?", "answer": "{2 * n}"}}' for n in range(200)),
        encoding="utf-8",
    )
    letters = folder / "letters.csv"
    letters.write_text(
        "prompt,completion\n" + "".join(f'"Letter {n}","Sehr geehrte Damen und Herren, …"\n' for n in range(90)),
        encoding="utf-8",
    )
    return [str(chats), str(sums), str(letters)]
