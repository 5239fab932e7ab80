"""A short measurement of a fine-tuning on this computer, and which settings it speaks for. Draws and starts nothing."""

from typing import Any

from .finetune_spec import FinetuneSpec
from .value import Value

# What changes neither the time of a token nor the memory of a step.
_WITHOUT_EFFECT = {
    "alpha",
    "beta",
    "checkpoint",
    "decay_ratio",
    "early_stopping",
    "epochs",
    "eval_steps",
    "evaluation_data",
    "held_out",
    "keep_best",
    "keep_checkpoints",
    "learning_rate",
    "logging_steps",
    "max_grad_norm",
    "max_steps",
    "measure_result",
    "merge",
    "name",
    "on_out_of_memory",
    "output",
    "sample_prompts",
    "sample_steps",
    "sample_tokens",
    "save_steps",
    "scheduler",
    "seed",
    "shuffle_seed",
    "split_seed",
    "warmup_ratio",
    "weight_decay",
}


class Probe(Value):
    """What a few steps took. Rates in tokens per second without padding, of all processes together.

    `tokens_per_s` is that of rows as they come, between `least_tokens_per_s` and `most_tokens_per_s`; `longest` is the
    longest row that was trained on and `row_tokens` the mean, in tokens, of the first `rows_read` rows of the data;
    `peak_bytes` the most memory.
    """

    tokens_per_s: float
    least_tokens_per_s: float
    most_tokens_per_s: float
    peak_bytes: int
    longest: int
    rows_read: int
    row_tokens: float
    steps: int
    seconds: float
    device: str


def probed_settings(spec: FinetuneSpec) -> dict[str, Any]:
    """Return the settings of which a probe depends: it speaks for every spec with the same ones."""
    return spec.model_dump(mode="json", exclude=_WITHOUT_EFFECT)
