"""The README.md of an export: what it was made of, how to use it, and what was found when it was tried."""

from pathlib import Path
from typing import Any

from desktop_app.domain.export_spec import ExportSpec

from .export_source import ExportSource
from .model_card import METHOD_WORDS, OBJECTIVE_WORDS
from .modelfile import MODELFILE

_TRANSFORMERS = """```python
from transformers import AutoModelForCausalLM, AutoTokenizer

model = AutoModelForCausalLM.from_pretrained("this folder")
tokenizer = AutoTokenizer.from_pretrained("this folder")
```"""
_PEFT = """```python
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained({base!r}), "this folder")
tokenizer = AutoTokenizer.from_pretrained("this folder")
```"""


def write_export_card(
    folder: Path,
    spec: ExportSpec,
    source: ExportSource,
    name: str,
    checks: dict[str, str],
    versions: dict[str, str],
    gguf_file: str,
) -> None:
    """Describe an export by what was asked, measured and found, nothing else."""
    is_adapter = spec.form == "adapter"
    base = Path(source.base.path).name
    lines = [
        "---",
        f"library_name: {'peft' if is_adapter else 'gguf' if gguf_file else 'transformers'}",
        f"pipeline_tag: {'text-classification' if source.is_scorer else 'text-generation'}",
        f"base_model: {base!r}",
        *([f"license: {source.base.licence!r}"] if source.base.licence else []),
        "---",
        "",
        f"# {name}",
        "",
        _origin(source, base),
        f"Exported by Whetstone {versions.get('whetstone', '')} as {_form(spec, source)}.",
        "",
        "| file | bytes |",
        "|---|---|",
        *(
            f"| {path.relative_to(folder).as_posix()} | {path.stat().st_size:,} |"
            for path in sorted(folder.rglob("*"))
            if path.is_file() and path.name != "README.md"
        ),
        "",
        "## How to use it",
        "",
        *_use(folder, source, gguf_file, is_adapter, name),
        "",
        "## What was tried before it was handed out",
        "",
        *(f"- {what}: {finding}" for what, finding in checks.items()),
        "",
        *_measured(source.manifest),
    ]
    (folder / "README.md").write_text("\n".join(lines), encoding="utf-8", newline="\n")


def _origin(source: ExportSource, base: str) -> str:
    training = source.training
    if training is None:
        return f"Made from {source.facts.name}." if source.facts.name == base else f"An adapter for {base}."
    how = METHOD_WORDS.get(training.method, "every weight of it")
    return (
        f"{base}, trained on {Path(training.data).name} {OBJECTIVE_WORDS[training.objective]}: {how}, learning rate "
        f"{training.learning_rate:g}, seed {training.seed}."
    )


def _form(spec: ExportSpec, source: ExportSource) -> str:
    match spec.form:
        case "whole":
            merged = ", the adapter merged into it" if source.is_adapter else ""
            return f"a whole model{merged}"
        case "gguf":
            return f"GGUF, type {spec.gguf_type.removeprefix('gguf_').upper()}"
        case "adapter":
            return "an adapter, to be used beside its base model"
    return f"it was ({source.facts.quantization})"


def _use(folder: Path, source: ExportSource, gguf_file: str, is_adapter: bool, name: str) -> list[str]:
    ollama = ["```", f"ollama create {name.lower()} -f Modelfile", f"ollama run {name.lower()}", "```"]
    has_modelfile = (folder / MODELFILE).is_file()
    if gguf_file:
        return ["llama.cpp:", "", "```", f"llama-cli -m {gguf_file}", "```", "", "Ollama:", "", *ollama]
    if is_adapter:
        return [_PEFT.format(base=Path(source.facts.base_model).name)]
    return [_TRANSFORMERS, *(["", "Ollama, for the families that it imports:", "", *ollama] if has_modelfile else [])]


def _measured(manifest: dict[str, Any]) -> list[str]:
    summary = manifest.get("summary")
    if not isinstance(summary, dict) or not summary:
        return []
    rows = [f"| {name} | {_shown(value)} |" for name, value in summary.items() if value is not None]
    return ["## Measured when it was trained", "", "| | |", "|---|---|", *rows, ""]


def _shown(value: Any) -> str:
    return f"{value:,.6g}" if isinstance(value, float) else str(value)[:200]
