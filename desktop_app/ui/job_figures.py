"""What a job's view says in numbers and words: figures of the run, its settings, its result, a report to copy.

Works on a job and its record alone; draws nothing.
"""

import json
import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from desktop_app import __version__
from desktop_app.domain.figure_words import NO_FIGURES, label
from desktop_app.domain.job import Job, JobState
from desktop_app.domain.run_record import RunRecord
from desktop_app.domain.spec import SPEC_TYPES, as_json, usual_value

from .curve import change
from .log_text import LogText
from .wording import clock_text, duration_text, number_text, percent_text, size_text

_MAIN_FIGURES = (
    "size_bytes",
    "files",
    "eval_loss_before",
    "eval_loss_after",
    "eval_accuracy_before",
    "eval_accuracy_after",
    "final_loss",
    "loss",
    "perplexity",
    "mean_kl",
    "size_before_bytes",
    "size_after_bytes",
    "adapter_bytes",
    "mean_relative_error",
)
_BYTES = {"bring_in": "Copied and checked", "download": "Downloaded", "export": "Copied and checked"}
_BYTES |= dict.fromkeys(("bundle", "open_bundle"), _BYTES["bring_in"])
_PATHS = ("model", "data", "held_out_of", "output")

_UNITS: tuple[tuple[str, Callable[[float], str]], ...] = (
    ("_bytes", size_text),
    ("_s", duration_text),
    ("seconds", duration_text),
    ("_share", percent_text),
    ("ratio", percent_text),
)


@dataclass(frozen=True, slots=True)
class Fact:
    """One number with its name above it; `about` explains it when pointed at."""

    name: str
    value: str
    note: str = ""
    about: str = ""


def run_figures(job: Job, record: RunRecord, now_s: float) -> list[Fact]:
    """Return the figures of a run: those of training where it trains, otherwise how far it is."""
    progress = record.progress
    figures = []
    if progress is not None and progress.total:
        is_bytes = progress.unit == "byte"
        done, total = (size_text(n) if is_bytes else number_text(n) for n in (progress.done, progress.total))
        figures.append(
            Fact(_BYTES.get(job.kind, "Written") if is_bytes else progress.unit.capitalize(), done, f"of {total}")
        )
        if progress.epoch is not None:
            epochs = job.spec.get("epochs")
            of = f"of {epochs:g}" if epochs and not job.spec.get("max_steps") else ""
            figures.append(Fact("Epoch", f"{progress.epoch:.2f}", of))
    figures += _training_figures(record)
    speed = record.latest("tokens_per_s")
    if speed is not None:
        rows = record.latest("samples_per_s")
        also = "" if rows is None else f"{number_text(rows)} rows/s"
        figures.append(Fact("Speed", number_text(round(speed)), "tokens/s", also))
    elif progress is not None and progress.rate:
        unit = (progress.rate_unit or progress.unit).rstrip("s")
        rate = size_text(progress.rate) if unit == "byte" else number_text(progress.rate)
        figures.append(Fact("Speed", rate, "per s" if unit == "byte" else f"{unit}s/s"))
    if record.checkpoints:
        last = record.checkpoints[-1]
        ago = f"{duration_text(now_s - last.time)} ago" if not job.state.is_terminal else ""
        figures.append(Fact("Last checkpoint", number_text(last.step), ago))
    return figures


def _training_figures(record: RunRecord) -> list[Fact]:
    figures = []
    losses = record.metrics.get("loss", [])
    if losses:
        differs = change(losses)
        note = "" if differs is None else f"{'▾' if differs < 0 else '▴'} {number_text(abs(differs))}"
        about = "Mean of the last ten values against the ten before"
        figures.append(Fact("Loss", number_text(losses[-1][1]), note, about))
    evaluated = record.metrics.get("eval_loss", [])
    if evaluated:
        step, value = evaluated[-1]
        figures.append(Fact("Evaluation loss", number_text(value), f"step {number_text(step)}"))
    accuracy, margin = record.latest("reward_accuracy"), record.latest("reward_margin")
    if margin is not None:
        share = "" if accuracy is None else f"{percent_text(accuracy)} right"
        about = "How much higher the chosen answer is scored than the other, and in how many pairs of the last batch"
        figures.append(Fact("Reward margin", number_text(margin), share, about))
    held_out = record.latest("eval_accuracy")
    if held_out is not None:
        about = "Share of the held-out pairs in which the chosen answer is preferred"
        figures.append(Fact("Held-out pairs", percent_text(held_out), "right", about))
    rate, norm = record.latest("learning_rate"), record.latest("grad_norm")
    if rate is not None:
        gradient = "" if norm is None else f"gradient {number_text(norm)}"
        figures.append(Fact("Learning rate", number_text(rate), gradient, "Beside it the length of the gradient"))
    return figures


def headline(job: Job, share: float | None, eta_s: float | None, now_s: float) -> tuple[str, str, str]:
    """Say how it stands: the big word or number, the lead beside it ('' while it runs), the small print."""
    if job.state is JobState.QUEUED:
        return "Queued", "waits for its turn", ""
    if not job.state.is_terminal:
        big = percent_text(share) if share is not None else "Starting"
        if job.state is JobState.PAUSED:
            return big, "paused", ""
        if share == 1:
            return "Finishing", "", ""  # what is written is looked at, which can take as long
        return big, "", f"done at about {clock_text(now_s + eta_s)}" if eta_s and share is not None else ""
    took = duration_text(job.duration_s)
    return job.state.value.capitalize(), f"after {took}" if took else "", clock_text(job.ended) if job.ended else ""


def in_use_text(facts: Mapping[str, Any]) -> str:
    """Say in one line what a training really uses; '' while it has not said so."""
    if not facts:
        return ""
    trained = facts.get("adapter_dtype") or facts.get("trained_dtype")
    quantization = facts.get("quantization")
    count = facts.get("world_size") or 1
    parts = [
        facts.get("device"),
        quantization if quantization not in (None, "none") else "",
        f"computes in {facts['compute_dtype']}" if facts.get("compute_dtype") else "",
        f"trains {facts['trainable_parameters']:,} weights in {trained}" if facts.get("trainable_parameters") else "",
        facts.get("optimizer"),
        f"{facts['attention']} attention" if facts.get("attention") else "",
        "packed rows" if facts.get("packing") else "",
        f"{count} processes ({facts.get('wrapper')})" if count > 1 else facts.get("wrapper"),
    ]
    return "In use: " + " · ".join(str(part) for part in parts if part)


def summary_figures(summary: dict[str, Any]) -> tuple[list[Fact], list[Fact]]:
    """Turn what a worker measured into words: the figures that tell whether it was worth it, then the others.

    What is empty is left out; a figure of a later version counts among the others.
    """
    known = {name: value for name, value in summary.items() if value not in (None, "")}
    known |= _of_what_was_done(known)
    main = [Fact(label(name), figure_text(name, known[name])) for name in _MAIN_FIGURES if name in known]
    others = [name for name in known if name not in (*_MAIN_FIGURES, *NO_FIGURES)]
    return main, [Fact(label(name), figure_text(name, known[name])) for name in others]


def _of_what_was_done(known: dict[str, Any]) -> dict[str, str]:
    """Say of a training that ended before its last step how far it came, and of what its time was estimated."""
    steps, planned, first = known.get("steps"), known.get("planned_steps"), known.get("first_step", 0)
    if not isinstance(steps, int) or not isinstance(planned, int) or (steps >= planned and not first):
        return {}
    said = {"steps": f"{steps:,} of {planned:,}"} if steps < planned else {}
    seconds = known.get("planned_seconds")
    if seconds is not None:
        said["planned_seconds"] = f"{figure_text('planned_seconds', seconds)} for {steps - first:,} steps"
    return said


def settings(job: Job) -> tuple[list[Fact], list[Fact]]:
    """Return the settings that were changed, then those at their default; `note` holds the whole path of a name."""
    kind = SPEC_TYPES.get(job.kind)
    changed: list[Fact] = []
    usual: list[Fact] = []
    for name, value in job.spec.items():
        if name in ("kind", "name"):
            continue
        field = kind.model_fields.get(name) if kind is not None else None
        about = (field.description or "") if field is not None else ""
        has_default = field is not None and not field.is_required()
        is_usual = has_default and as_json(value) == usual_value(job.kind, name)
        whole = value if name in _PATHS and isinstance(value, str) else ""
        (usual if is_usual else changed).append(Fact(label(name), setting_text(name, value), whole, about))
    return changed, usual


REPORT_COPIED = "Copied the report: problem, versions, settings and the end of the log."


def report_text(job: Job, record: RunRecord, log: LogText) -> str:
    """Write what someone who is to help needs: the problem, the versions, the settings, the end of the log."""
    versions = record.started.versions if record.started is not None else {}
    newest = [*log.lines, log.shown_open_line][-60:]
    return "\n".join(
        [
            f"Whetstone {__version__}, Python {platform.python_version()}, {platform.platform()}",
            f"Job {job.id}: {job.state.value}",
            f"Problem: {job.message} {job.hint}".rstrip(),
            f"Doing: {record.stage}" if record.stage else "",
            "Libraries: " + (", ".join(f"{name} {version}" for name, version in versions.items()) or "unknown"),
            "",
            "Settings:",
            json.dumps(job.spec, indent=2, ensure_ascii=False),
            "",
            "End of the log:",
            *newest,
        ]
    )


def setting_text(name: str, value: Any) -> str:
    """Say a setting's value; a path by its last name."""
    if name in _PATHS and isinstance(value, str):
        return PurePath(value.replace("\\", "/")).name or value
    return _plain_text(value)


def _plain_text(value: Any) -> str:
    match value:
        case None:
            return "–"
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}"
        case float():
            return f"{value:g}"
        case list() | tuple():
            return ", ".join(map(str, value)) or "–"
        case dict():
            return ", ".join(f"{key}: {entry}" for key, entry in value.items()) or "–"
        case _:
            return str(value) or "–"


def figure_text(name: str, value: Any) -> str:
    """Say a measured value in the unit that its name ends with."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return _plain_text(value)
    if name == "bytes_per_s":
        return f"{size_text(value)}/s"
    for suffix, say in _UNITS:
        if name.endswith(suffix) and not name.endswith("per_s"):
            return say(value)
    return number_text(value)
