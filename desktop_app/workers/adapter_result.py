"""The adapter that a fine-tuning leaves, in peft's format, with tokenizer and chat template.

Before it is shown, the file is compared with what was trained, tensor by tensor, and an adapter loaded from it
into a fresh model must give the trained model's logits.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from peft.utils import get_peft_model_state_dict
from safetensors.torch import load_file, save_file

from desktop_app.errors import JobError, StorageError

from .foreign_errors import loader_errors_in_words
from .loading import keep_four_bit_layers_as_they_are
from .measure import first_logits
from .pissa import Start, as_ordinary_lora

ADAPTER_FILE = "adapter_model.safetensors"
CONFIG_FILE = "adapter_config.json"
# Share of the largest logit by which a reloaded model may differ: rounding of the number format it computes in.
TOLERANCE = {torch.float32: 1e-3, torch.bfloat16: 0.05, torch.float16: 0.02}


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """What the trained model is known by once it is gone: the adapter's tensors, and logits on one row."""

    tensors: dict[str, torch.Tensor]
    row: dict[str, list[int]]
    logits: torch.Tensor


def remember(model: Any, row: dict[str, list[int]], start: Start | None = None) -> Trained:
    """Note what is needed to recognise the trained model; `start` is where a PiSSA adapter began.

    Raises:
        JobError: nothing was learned yet, every B matrix is still as it was.
    """
    state = get_peft_model_state_dict(model)
    tensors = {name: tensor.detach().cpu().clone() for name, tensor in state.items()}
    first = {} if start is None else start.tensors
    b_names = [name for name in tensors if "lora_B" in name]
    if not any(bool((tensors[name] != first.get(name, 0)).any()) for name in b_names):
        raise JobError(
            "The adapter is still as it began: nothing was learned yet.",
            "Let the training run for more steps before it ends.",
        )
    if start is not None:
        tensors, _ = as_ordinary_lora(tensors, start, model.peft_config["default"])
    return Trained(tensors=tensors, row=row, logits=first_logits(model, row))


def write_adapter(
    folder: Path, model: Any, tokenizer: Any, template: str, trained: Trained, start: Start | None
) -> None:
    """Save adapter and tokenizer; `template` is the chat template that was trained with, which locks the format."""
    model.save_pretrained(str(folder))
    if start is not None:
        _, changes = as_ordinary_lora({}, Start({}), model.peft_config["default"])
        config = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))
        (folder / CONFIG_FILE).write_text(json.dumps(config | changes, indent=2), encoding="utf-8")
        save_file(
            {name: t.contiguous() for name, t in trained.tensors.items()}, folder / ADAPTER_FILE, {"format": "pt"}
        )
    write_tokenizer(folder, tokenizer, template)


def write_tokenizer(folder: Path, tokenizer: Any, template: str) -> None:
    """Save the tokenizer with the chat template that was trained with."""
    tokenizer.chat_template = template
    tokenizer.save_pretrained(str(folder))


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
