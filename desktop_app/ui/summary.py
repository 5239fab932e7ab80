"""One grey line that says what a model or a data file is."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from desktop_app.domain.data_report import DataReport
from desktop_app.domain.model_facts import ModelFacts

from .wording import size_text

LAYOUTS = {
    "messages": "OpenAI messages",
    "sharegpt": "ShareGPT",
    "alpaca": "Alpaca",
    "prompt_completion": "prompt and completion",
    "preference": "preference pairs",
    "kto": "answers marked good or bad",
    "columns": "questions and answers",
    "text": "plain text",
}
_DTYPES = {"bfloat16": "bf16", "float16": "fp16", "float32": "fp32"}
_COUNTS = ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k"))


def count_text(count: int) -> str:
    """Write a number of parameters: 1_540_000_000 -> '1.54 B', 0 -> ''."""
    for size, letter in _COUNTS:
        if count >= size:
            return f"{count / size:.3g} {letter}"
    return str(count) if count else ""


def model_line(facts: ModelFacts) -> str:
    """Say what a model is: '1.54 B parameters · bf16 · 3.1 GB · context 32,768', or what is wrong."""
    if facts.problem:
        return facts.problem
    parts = [
        f"{count_text(facts.parameters)} parameters" if facts.parameters else "",
        number_type_text(facts),
        size_text(facts.size_bytes) if facts.size_bytes else "",
        f"context {facts.context_length:,}" if facts.context_length else "",
    ]
    return " · ".join(part for part in parts if part)


def number_type_text(facts: ModelFacts) -> str:
    """Say how the weights are stored: 'nf4' if they are quantized, else 'bf16'."""
    return facts.quantization or _DTYPES.get(facts.dtype, facts.dtype)


def kind_text(facts: ModelFacts, made_by: str = "") -> str:
    """Say what kind of model it is, and whether a job of this program made it or another program keeps it."""
    kind = {"base": "model", "adapter": "adapter", "gguf": "GGUF", "onnx": "ONNX"}[facts.kind]
    return f"{kind}, made here" if made_by else f"{kind}, {facts.store}" if facts.store else kind


def distinct_names(names: Mapping[str, str]) -> dict[str, str]:
    """Tell paths of the same name apart by the folder they are in: 'train.jsonl (gsm8k)'."""
    counts = Counter(names.values())
    return {path: f"{name} ({Path(path).parent.name})" if counts[name] > 1 else name for path, name in names.items()}


def data_line(report: DataReport) -> str:
    """Say what a data file holds: '4,812 rows · OpenAI messages · 3 bad rows left out', or what is wrong."""
    if report.problem:
        return report.problem
    rows = f"{report.rows:,} {'row' if report.rows == 1 else 'rows'}"
    parts = [rows if report.complete else f"more than {rows}", layout_text(report.layout)]
    if report.bad_row_count:
        parts.append(f"{report.bad_row_count:,} bad {'row' if report.bad_row_count == 1 else 'rows'} left out")
    return " · ".join(parts)


def layout_text(layout: str) -> str:
    """Say a layout to a person."""
    return LAYOUTS.get(layout, layout)
