"""With what to start: settings for this computer, this model and this data, and the sentence that says them.

Rules of thumb, each written beside its number; the memory is the plan's own arithmetic. Knows no widgets.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from desktop_app.domain.data_report import DataReport, TokenStatistics
from desktop_app.domain.finetune_spec import FinetuneSpec
from desktop_app.domain.machine import MachineSample
from desktop_app.domain.model_facts import ModelFacts
from desktop_app.domain.preset import usual_learning_rate

from . import memory_plan

# Up to so many rows, so many epochs: few rows must be read often, many rows say enough in one pass.
_EPOCHS = ((200, 5), (2_000, 3), (20_000, 2))
_FEW_ROWS = 200  # of fewer a tenth is kept aside, or the measurement rests on a handful
_MEASUREMENTS = 10
_FEWEST_ROWS = 20
_STEP_TOKENS = 64
_SHORTEST = 128
_METHOD_WORDS = {"lora": "LoRA", "qlora": "QLoRA"}


@dataclass(frozen=True, slots=True, kw_only=True)
class StartingPoint:
    """Changes of a spec, and the sentence that says them with their reasons."""

    sentence: str
    changes: dict[str, Any]


def starting_point(
    spec: FinetuneSpec,
    facts: ModelFacts,
    report: DataReport,
    sample: MachineSample,
    statistics: TokenStatistics | None = None,
) -> StartingPoint | None:
    """Suggest with what to start a training like `spec`; None where the data is not known or too small to advise on.

    `statistics` are those of this data with this model, None while nobody counted.
    """
    if report.problem or report.rows < _FEWEST_ROWS or facts.problem:
        return None
    length, length_words = _length(facts, statistics)
    rows = min(report.rows, spec.max_rows or report.rows)
    epochs = next((count for most, count in _EPOCHS if rows <= most), 1)
    held_out = 0.1 if rows < _FEW_ROWS else 0.05
    steps = max(1, round(rows * (1 - held_out) * epochs / 8))
    usual = {
        "max_length": length,
        "epochs": float(epochs),
        "held_out": held_out,
        "eval_steps": max(1, steps // _MEASUREMENTS),
        "keep_best": True,
    }
    for memory in _smaller(facts):
        changes = {**usual, **memory, "learning_rate": usual_learning_rate(spec.objective, memory["method"])}
        plan = memory_plan(spec.model_copy(update=changes), facts, sample)
        if plan.verdict == "fits":
            words = [
                _METHOD_WORDS[memory["method"]],
                "activation checkpointing" * memory["activation_checkpointing"],
                f"{memory['batch_size']}\u00a0×\u00a0{memory['gradient_accumulation']} rows a step",
                length_words,
                f"{epochs} {'epoch' if epochs == 1 else 'epochs'}",
            ]
            return StartingPoint(
                sentence=f"For this computer and this data start with {', '.join(filter(None, words))}: about "
                f"{steps:,} steps.",
                changes=changes,
            )
    return StartingPoint(
        sentence="For this computer the model is too large, even in 4 bits and row by row. Start with a smaller one.",
        changes={},
    )


def _smaller(facts: ModelFacts) -> Iterator[dict[str, Any]]:
    """Ways to hold the model, from the best to the smallest, all with 8 rows to a step."""
    whole = {"activation_checkpointing": False, "batch_size": 2, "gradient_accumulation": 4}
    careful = {"activation_checkpointing": True, "batch_size": 1, "gradient_accumulation": 8}
    methods = ("lora",) if facts.quantization else ("lora", "qlora")
    for method in methods:
        yield {"method": method, **whole}
        yield {"method": method, **careful}


def _length(facts: ModelFacts, statistics: TokenStatistics | None) -> tuple[int, str]:
    """Return a length that most rows fit into, in steps of 64 tokens, and its words; the default if not counted."""
    most = facts.context_length or 1_048_576
    if statistics is None or not statistics.rows:
        return min(1024, most), ""
    # The few longest rows decide about memory; they are cut unless they are hardly longer than the others.
    is_even = statistics.longest <= 1.25 * statistics.percentile_95
    wanted = statistics.longest if is_even else statistics.percentile_95
    length = min(most, max(_SHORTEST, -(-wanted // _STEP_TOKENS) * _STEP_TOKENS))
    share = "all rows fit" if length >= statistics.longest else "95 % of the rows fit"
    return length, f"cut at {length:,} tokens ({share})"
