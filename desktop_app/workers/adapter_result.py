"""The folder that a fine-tuning leaves: adapter in peft's format, tokenizer with its chat template, model card.

Before it is shown, the file is compared with what was trained, tensor by tensor, and an adapter loaded from it
into a fresh model must give the trained model's logits.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from peft.utils import get_peft_model_state_dict
from safetensors.torch import load_file

from desktop_app.domain.finetune_spec import FinetuneSpec
from desktop_app.errors import JobError, StorageError

from .finished import Summary
from .foreign_errors import loader_errors_in_words
from .loading import keep_four_bit_layers_as_they_are
from .measure import first_logits

ADAPTER_FILE = "adapter_model.safetensors"
# Share of the largest logit by which a reloaded model may differ: rounding of the number format it computes in.
TOLERANCE = {torch.float32: 1e-3, torch.bfloat16: 0.05, torch.float16: 0.02}
_TO_BE_LOADED = """## How to load it

```python
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

base = AutoModelForCausalLM.from_pretrained({base!r})
model = PeftModel.from_pretrained(base, "this folder")
tokenizer = AutoTokenizer.from_pretrained("this folder")
```
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """What the trained model is known by once it is gone: the adapter's tensors, and logits on one row."""

    tensors: dict[str, torch.Tensor]
    row: dict[str, list[int]]
    logits: torch.Tensor


def remember(model: Any, row: dict[str, list[int]]) -> Trained:
    """Note what is needed to recognise the trained model.

    Raises:
        JobError: nothing was learned yet, every B matrix is still zero.
    """
    state = get_peft_model_state_dict(model)
    tensors = {name: tensor.detach().cpu().clone() for name, tensor in state.items()}
    if not any(bool(tensor.any()) for name, tensor in tensors.items() if "lora_B" in name):
        raise JobError(
            "The adapter is still zero: nothing was learned yet.", "Let the training run for more steps before it ends."
        )
    return Trained(tensors=tensors, row=row, logits=first_logits(model, row))


def write_adapter(folder: Path, model: Any, tokenizer: Any, template: str) -> None:
    """Save adapter and tokenizer; `template` is the chat template that was trained with, which locks the format."""
    model.save_pretrained(str(folder))
    tokenizer.chat_template = template
    tokenizer.save_pretrained(str(folder))


def write_card(folder: Path, spec: FinetuneSpec, summary: Summary) -> None:
    """Describe the adapter by what was measured."""
    base = Path(spec.model)
    settings = spec.model_dump(exclude_defaults=True, exclude={"kind", "model", "data", "name", "output"})
    rows = [f"| {name} | {_shown(value)} |" for name, value in summary.items()]
    lines = [
        "---",
        "library_name: peft",
        "pipeline_tag: text-generation",
        f"base_model: {str(base)!r}",
        "---",
        "",
        f"# {spec.name or f'{base.name}-{spec.method}'}",
        "",
        f"A {'QLoRA' if spec.method == 'qlora' else 'LoRA'} adapter for {base.name}, trained on {Path(spec.data).name}"
        f" with rank {spec.rank}, alpha {spec.alpha:g} and learning rate {spec.learning_rate:g}.",
        *([f"Other settings: {', '.join(f'{k} {v}' for k, v in settings.items())}."] if settings else []),
        "",
        "| measured | |",
        "|---|---|",
        *rows,
        "",
        _TO_BE_LOADED.format(base=str(base)),
    ]
    (folder / "README.md").write_text("\n".join(lines), encoding="utf-8", newline="\n")


def check_adapter(folder: Path, trained: Trained, fresh_base: Callable[[], Any]) -> dict[str, str]:
    """Compare a written adapter with the one that was trained; return what was found.

    Raises:
        StorageError: the file does not hold what was trained.
    """
    checks = {"tensors": _check_tensors(load_file(folder / ADAPTER_FILE), trained.tensors)}
    base = fresh_base()
    model = with_adapter(base, folder)
    difference = float((first_logits(model, trained.row) - trained.logits).abs().max())
    allowed = TOLERANCE.get(base.dtype, 0.05) * max(1.0, float(trained.logits.abs().max()))
    if not difference <= allowed:
        raise _spoiled(f"loaded into a fresh model, its logits differ by {difference:.3g}, allowed are {allowed:.3g}")
    checks["reload"] = f"in a fresh model the logits differ by at most {difference:.2g} (allowed {allowed:.2g})"
    return checks


def with_adapter(base: Any, folder: Path) -> Any:
    """Put an adapter from a checked folder on a loaded base model.

    Raises:
        ModelError: it does not fit the model.
    """
    with loader_errors_in_words(folder):
        model = PeftModel.from_pretrained(base, str(folder), is_trainable=False)
    keep_four_bit_layers_as_they_are(model)
    return model.eval()


def _check_tensors(written: dict[str, torch.Tensor], trained: dict[str, torch.Tensor]) -> str:
    if written.keys() != trained.keys():
        odd = sorted(written.keys() ^ trained.keys())[0]
        raise _spoiled(f"it holds {len(written)} tensors, {len(trained)} were trained; {odd} is in one of them only")
    for name, tensor in written.items():
        if tensor.shape != trained[name].shape:
            raise _spoiled(f"{name} has the shape {tuple(tensor.shape)}, not {tuple(trained[name].shape)}")
        if not tensor.isfinite().all():
            raise _spoiled(f"{name} holds values that are not finite")
        if not torch.equal(tensor, trained[name]):
            what = "zero" if not tensor.any() else "other values"
            raise _spoiled(f"{name} holds {what} instead of what was trained")
    learned = sum(bool(tensor.any()) for name, tensor in written.items() if "lora_B" in name)
    return f"{len(written)} tensors, all finite and as trained; {learned} B matrices are not zero"


def _spoiled(what: str) -> StorageError:
    return StorageError(
        f"The written adapter is not the trained one: {what}.", "Check the disk; the job can go on from its checkpoint."
    )


def _shown(value: int | float | str | bool | None) -> str:
    return f"{value:,.6g}" if isinstance(value, float) else str(value)
