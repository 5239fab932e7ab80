"""Several jobs out of one: every combination of chosen values for some fields, each with a name of its own."""

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

from desktop_app.errors import SpecError

from .finetune_spec import FinetuneSpec
from .job import job_name
from .quantize_spec import QuantizeSpec
from .spec import parse_spec

MOST_VARIANTS = 100
# What differs stands first in the name and shortly: lists cut long names at the end.
_SHORT = {"learning_rate": "rate", "max_length": "length", "batch_size": "batch", "gradient_accumulation": "added up"}
_NAME_LENGTH = 80
Varied = FinetuneSpec | QuantizeSpec


def variants(spec: Varied, choices: Mapping[str, Sequence[Any]]) -> list[Varied]:
    """Return a spec for each combination of the values, the last field changing fastest.

    Raises:
        SpecError: there are too many, none, or a combination cannot be.
    """
    chosen = {name: list(dict.fromkeys(values)) for name, values in choices.items()}
    count = 1
    for values in chosen.values():
        count *= len(values)
    if not chosen or not count:
        raise SpecError("No value is chosen.", "Choose a field and at least one value for it.")
    if count > MOST_VARIANTS:
        raise SpecError(f"{count:,} runs are more than {MOST_VARIANTS}.", "Choose fewer values.")
    made: list[Varied] = []
    for combination in product(*chosen.values()):
        changes = dict(zip(chosen, combination, strict=True))
        said = ", ".join(f"{_SHORT.get(key, key)} {_said(value)}" for key, value in changes.items())
        name = f"{said} · {job_name(spec)}"
        raw = {**spec.model_dump(mode="json"), **changes, "name": name[:_NAME_LENGTH], "output": None}
        made.append(parse_spec(raw))  # type: ignore[arg-type]  # of the same kind as `spec`
    return made


def _said(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
