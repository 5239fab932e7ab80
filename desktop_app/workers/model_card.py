"""The README.md of a result: a model card made from what was asked and what was measured, nothing else."""

from pathlib import Path

from desktop_app.domain.finetune_spec import FinetuneSpec

from .finished import Summary

METHOD_WORDS = {
    "lora": "LoRA",
    "qlora": "QLoRA",
    "lora_8bit": "LoRA on 8 bits",
    "dora": "DoRA",
    "rslora": "rsLoRA",
    "pissa": "LoRA (trained from a PiSSA start)",
}
OBJECTIVE_WORDS = {
    "sft": "to write the answers (SFT)",
    "dpo": "to prefer the chosen answers (DPO)",
    "kto": "from answers that were liked or not (KTO)",
    "orpo": "to prefer the chosen answers (ORPO, experimental)",
    "reward": "to score answers (reward model)",
}
_ADAPTER = """from peft import PeftModel
from transformers import {auto}, AutoTokenizer

base = {auto}.from_pretrained({base!r}{more})
model = PeftModel.from_pretrained(base, "this folder")
"""
_WHOLE = """from transformers import {auto}, AutoTokenizer

model = {auto}.from_pretrained("this folder")
"""


def write_card(folder: Path, spec: FinetuneSpec, summary: Summary, fingerprint: str, versions: dict[str, str]) -> None:
    """Describe a result by its settings and by what was measured."""
    base = Path(spec.model)
    settings = spec.model_dump(exclude_defaults=True, exclude={"kind", "model", "data", "name", "output"})
    named = ("torch", "transformers", "peft", "trl", "bitsandbytes")
    lines = [
        "---",
        f"library_name: {'peft' if spec.is_adapter else 'transformers'}",
        f"pipeline_tag: {'text-classification' if spec.objective == 'reward' else 'text-generation'}",
        f"base_model: {str(base)!r}",
        "---",
        "",
        f"# {spec.name or f'{base.name}-{spec.method}'}",
        "",
        _first_sentence(spec, base),
        *([f"Other settings: {', '.join(f'{k} {v}' for k, v in settings.items())}."] if settings else []),
        f"Seed {spec.seed}; the tokens that were trained have the SHA-256 {fingerprint[:16]}…; "
        + ", ".join(f"{name} {versions[name]}" for name in named if name in versions)
        + ".",
        "",
        "| measured | |",
        "|---|---|",
        *(f"| {name} | {_shown(value)} |" for name, value in summary.items() if value is not None),
        "",
        "## How to load it",
        "",
        "```python",
        _loading_code(spec, base) + 'tokenizer = AutoTokenizer.from_pretrained("this folder")',
        "```",
        "",
    ]
    (folder / "README.md").write_text("\n".join(lines), encoding="utf-8", newline="\n")


def _first_sentence(spec: FinetuneSpec, base: Path) -> str:
    on = f"trained on {Path(spec.data).name} {OBJECTIVE_WORDS[spec.objective]}"
    if not spec.is_adapter:
        return f"{base.name}, {on}, every weight of it, with learning rate {spec.learning_rate:g}."
    return (
        f"A {METHOD_WORDS[spec.method]} adapter for {base.name}, {on}"
        f" with rank {spec.rank}, alpha {spec.alpha:g} and learning rate {spec.learning_rate:g}."
    )


def _loading_code(spec: FinetuneSpec, base: Path) -> str:
    is_scorer = spec.objective == "reward"
    auto = "AutoModelForSequenceClassification" if is_scorer else "AutoModelForCausalLM"
    code = _ADAPTER if spec.is_adapter else _WHOLE
    return code.format(auto=auto, base=str(base), more=", num_labels=1" if is_scorer else "")


def _shown(value: int | float | str | bool | None) -> str:
    return f"{value:,.6g}" if isinstance(value, float) else str(value)
