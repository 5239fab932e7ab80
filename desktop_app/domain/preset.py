"""Settings of a fine-tuning without its model and data: three ready ones, and those that a user keeps as YAML."""

from dataclasses import dataclass
from typing import Any

import yaml
from pydantic import ValidationError

from desktop_app.errors import SpecError

from .finetune_spec import FinetuneMethod, FinetuneSpec, Objective

# What a preset leaves alone: the choice of model and data, how that data is read, and names.
NOT_PRESET = frozenset(
    {
        "kind",
        "model",
        "data",
        "more_data",
        "evaluation_data",
        "overlay",
        "layout",
        "columns",
        "name",
        "output",
        "checkpoint",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """One ready set of changes from the defaults; `sentence` says what it is for."""

    title: str
    sentence: str
    changes: dict[str, Any]


PRESETS = (
    Preset(
        title="Quick look",
        sentence="Does it learn at all? One pass over at most 200 rows, cut at 512 tokens.",
        changes={"epochs": 1, "max_rows": 200, "max_length": 512, "rank": 8, "alpha": 16},
    ),
    Preset(title="Balanced", sentence="The defaults: right for most data.", changes={}),
    Preset(
        title="Careful",
        sentence="Half the rate, measured every 50 steps; the best checkpoint wins, and it ends when nothing improves.",
        changes={
            "epochs": 5,
            "learning_rate": 1e-4,
            "held_out": 0.1,
            "eval_steps": 50,
            "keep_best": True,
            "early_stopping": 4,
        },
    ),
)

# trl's own defaults for all weights; adapters take about ten times that (Schulman et al. 2025, "LoRA without regret").
_FULL_RATE: dict[Objective, float] = {"sft": 2e-5, "dpo": 1e-6, "kto": 1e-6, "orpo": 1e-6, "reward": 1e-4}


def usual_learning_rate(objective: Objective, method: FinetuneMethod) -> float:
    """Return the rate to start from."""
    full = _FULL_RATE[objective]
    return full if method == "full" else float(f"{10 * full:.0e}")


def preset_values(preset: Preset, objective: Objective, method: FinetuneMethod) -> dict[str, Any]:
    """Return all values of a ready preset; its rate follows objective and method."""
    usual = usual_learning_rate(objective, method)
    plain = {
        name: field.get_default(call_default_factory=True)
        for name, field in FinetuneSpec.model_fields.items()
        if name not in NOT_PRESET
    }
    share = preset.changes.get("learning_rate", 2e-4) / 2e-4
    fixed = {"objective": objective, "method": method, "learning_rate": float(f"{usual * share:.3g}")}
    return {**plain, **preset.changes, **fixed}


def preset_text(spec: FinetuneSpec) -> str:
    """Write the settings that differ from the defaults as YAML, each with what it means."""
    changed = {
        name: value
        for name, value in spec.model_dump(mode="json", exclude_defaults=True).items()
        if name not in NOT_PRESET
    }
    lines = ["# Settings of a fine-tuning; what is not named here keeps its default."]
    for name, value in changed.items():
        lines.append(f"# {FinetuneSpec.model_fields[name].description}")
        lines.append(yaml.safe_dump({name: value}, allow_unicode=True, default_flow_style=False).strip())
    return "\n".join(lines) + "\n"


def read_preset(text: str) -> dict[str, Any]:
    """Return all settings of a preset, defaults included.

    Raises:
        SpecError: it is no YAML, or a setting is unknown or wrong.
    """
    try:
        raw = yaml.safe_load(text) or {}
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" in line {mark.line + 1}" if mark is not None else ""
        raise SpecError(f"The preset is no YAML{where}.", "Write one setting to a line: 'rank: 16'.") from error
    if not isinstance(raw, dict):
        raise SpecError("The preset holds no settings.", "Write one setting to a line: 'rank: 16'.")
    odd = sorted(str(name) for name in raw if name not in FinetuneSpec.model_fields or name in NOT_PRESET)
    if odd:
        raise SpecError(f"The preset names {odd[0]!r}, which is no setting of a preset.", "Remove that line.", odd[0])
    try:
        spec = FinetuneSpec.model_validate({"model": "-", "data": "-", **raw})
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        name = str(problem["loc"][0]) if problem["loc"] else ""
        raise SpecError(
            f"The preset cannot be used: {name}: {problem['msg']}.", "Change that line, or remove it.", name
        ) from error
    return {name: getattr(spec, name) for name in FinetuneSpec.model_fields if name not in NOT_PRESET}
