"""How many steps and tokens a training has, by an earlier one on the same data, where nobody has counted its tokens."""

import math
from collections.abc import Sequence
from typing import Any

from desktop_app.domain.finetune_spec import FinetuneSpec
from desktop_app.domain.job import Job
from desktop_app.domain.spec import as_json

# With the same values here, the same rows are read.
_SAME_ROWS = ("data", "more_data", "overlay", "layout", "columns", "max_rows", "held_out", "evaluation_data", "nodes")
# With these too, each of them has as many tokens.
_SAME_TOKENS = ("model", "max_length", "objective", "packing", "chat_template", "train_on")


def steps_before(spec: FinetuneSpec, jobs: Sequence[Job]) -> int | None:
    """Say how many steps a training takes on data that one of `jobs`, newest first, went through; None if none did."""
    if spec.max_steps:
        return spec.max_steps
    for job in jobs:
        planned, epochs = job.summary.get("planned_steps"), job.spec.get("epochs")
        if _is_like(job, spec, _SAME_ROWS) and planned and epochs and not job.spec.get("max_steps"):
            rows = float(planned) / float(epochs) * _batch(job.spec)
            return max(1, math.ceil(rows / spec.effective_batch * spec.epochs))
    return None


def row_tokens_before(spec: FinetuneSpec, jobs: Sequence[Job]) -> float | None:
    """Say how many tokens a row had in the newest training of this model on this data; None if there was none."""
    for job in jobs:
        tokens, steps = job.summary.get("tokens"), job.summary.get("steps")
        if _is_like(job, spec, (*_SAME_ROWS, *_SAME_TOKENS)) and tokens and steps:
            return float(tokens / (steps * _batch(job.spec)))
    return None


def _is_like(job: Job, spec: FinetuneSpec, names: tuple[str, ...]) -> bool:
    return job.kind == "finetune" and all(job.spec.get(name) == as_json(getattr(spec, name)) for name in names)


def _batch(settings: dict[str, Any]) -> int:
    """As `FinetuneSpec.effective_batch`, of settings that another version may have written."""
    names = ("batch_size", "gradient_accumulation", "processes", "nodes")
    return math.prod(settings.get(name) or 1 for name in names)
