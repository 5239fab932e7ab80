"""Ollama's Modelfile: where the weights lie, the chat template the model was trained with, where answers end."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from desktop_app.training_data.go_template import GoTemplate

MODELFILE = "Modelfile"
# Ollama's names for what generation_config.json says.
_SAMPLING = {
    "temperature": "temperature",
    "top_k": "top_k",
    "top_p": "top_p",
    "min_p": "min_p",
    "repetition_penalty": "repeat_penalty",
}
_USUAL_CONTEXT = 8192  # memory for the context is taken at once, however long the text


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoken:
    """How a model is spoken to: its template in Go (None: not known), end tokens, sampling, longest text in tokens."""

    template: GoTemplate | None
    ends: tuple[str, ...]
    sampling: dict[str, Any]
    context_length: int


def modelfile(source: str, spoken: Spoken, system: str) -> str:
    """Write a Modelfile for the weights at `source`, relative to it."""
    known = spoken.template
    lines = ["# ollama create NAME -f Modelfile", f"FROM {source}"]
    if known is None:
        lines.append("# The chat template is none that can be said in Ollama's language; Ollama uses what it finds.")
    else:
        lines += [f"# {known.name}, as it was trained", f'TEMPLATE """{known.text}"""']
    said = system or (known.default_system if known else "")
    if said:
        lines.append(f'SYSTEM """{said}"""')
    stops = dict.fromkeys([*(known.stops if known else ()), *spoken.ends])
    lines += [f'PARAMETER stop "{_escaped(stop)}"' for stop in stops if "\n" not in stop]
    if spoken.context_length:
        lines.append(f"PARAMETER num_ctx {min(spoken.context_length, _USUAL_CONTEXT)}")
    for name, theirs in _SAMPLING.items():
        value = spoken.sampling.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool):
            lines.append(f"PARAMETER {theirs} {value:g}")
    return "\n".join(lines) + "\n"


def write_modelfile(folder: Path, source: str, spoken: Spoken, system: str) -> None:
    """Write it into the folder of an export."""
    (folder / MODELFILE).write_text(modelfile(source, spoken, system), encoding="utf-8", newline="\n")


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
