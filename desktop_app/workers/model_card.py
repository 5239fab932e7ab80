"""The README.md of a result: a model card made from what was asked and what was measured, nothing else."""

from collections.abc import Mapping
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


def write_card(
    folder: Path,
    spec: FinetuneSpec,
    summary: Summary,
    fingerprint: str,
    versions: dict[str, str],
    hardware: Mapping[str, str | int] | None = None,
) -> None:
    """Describe a result by its settings and by what was measured; what was not measured is said to be unknown."""
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
        "",
        "## Measured",
        "",
        *_measured(spec, summary),
        "",
        "## Data",
        "",
        *_data(spec, summary, fingerprint),
        "",
        "## Training",
        "",
        *_training(spec, summary),
        *(
            [f"Settings other than the defaults: {', '.join(f'{k} {v}' for k, v in settings.items())}."]
            if settings
            else []
        ),
        f"Seed {spec.seed}. " + ", ".join(f"{name} {versions[name]}" for name in named if name in versions) + ".",
        *([f"Computer: {', '.join(map(_hardware_text, hardware.items()))}."] if hardware else []),
        "",
        "## How to load it",
        "",
        "```python",
        _loading_code(spec, base) + 'tokenizer = AutoTokenizer.from_pretrained("this folder")',
        "```",
        "",
        "## All figures",
        "",
        "| measured | |",
        "|---|---|",
        *(f"| {name} | {_shown(value)} |" for name, value in summary.items() if value is not None),
        "",
    ]
    (folder / "README.md").write_text("\n".join(lines), encoding="utf-8", newline="\n")


def _measured(spec: FinetuneSpec, summary: Summary) -> list[str]:
    """What held-out rows say, against the base model; without any that is said."""
    rows, before, after = summary.get("held_out_rows"), summary.get("eval_loss_before"), summary.get("eval_loss_after")
    if not rows or not isinstance(before, float) or not isinstance(after, float):
        return ["No rows were kept aside, so it is not known what it does on rows it has not seen."]
    change = f"{after / before - 1:+.1%}"
    said = [f"On {rows:,} rows that were kept aside: loss {before:.4f} before, {after:.4f} after ({change})."]
    worse, right = summary.get("worse_rows"), summary.get("eval_accuracy_after")
    if worse is not None:
        said.append(f"On {worse:,} of them it is worse than the base model.")
    if isinstance(right, float):
        said.append(f"The better answer is preferred in {right:.0%} of the comparisons.")
    difference, moved = summary.get("merged_logit_difference"), summary.get("merged_eval_loss_change")
    if isinstance(difference, float):
        more = f", and the held-out loss by {moved:+.3%}" if isinstance(moved, float) else ""
        said.append(f"Merged: the logits differ by at most {difference:.3g} from those of base and adapter{more}.")
    said.append("Nothing else was measured: neither other tasks nor safety.")
    return said


def _data(spec: FinetuneSpec, summary: Summary, fingerprint: str) -> list[str]:
    share = summary.get("trained_share")
    trained = f", of whose tokens {share:.0%} were trained" if isinstance(share, float) else ""
    return [
        f"{Path(spec.data).name}: {summary.get('train_rows', 0):,} rows{trained}. Chat template: {spec.chat_template}.",
        f"The tokens have the SHA-256 {fingerprint}.",
    ]


def _training(spec: FinetuneSpec, summary: Summary) -> list[str]:
    steps, step = summary.get("steps") or 0, summary.get("result_step")
    way = f"{steps:,} steps of {spec.effective_batch} rows"
    if step is not None and step != steps:
        way += f"; these are the weights of step {step:,}, where the held-out loss was lowest"
    device, optimizer = summary.get("device"), summary.get("optimizer")
    parts = [way, f"optimizer {optimizer}" if optimizer else "", f"on {device}" if device else ""]
    return [f"{', '.join(filter(None, parts))}."]


def _hardware_text(item: tuple[str, str | int]) -> str:
    name, value = item
    return (
        f"{value / 2**30:.1f} GiB of memory" if name == "memory_bytes" and isinstance(value, int) else f"{name} {value}"
    )


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
