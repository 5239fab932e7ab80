"""The whole model that a full fine-tuning leaves: weights in the number format of the original, tokenizer, template.

The trained weights are rounded to that format before they are measured, so what is measured is what is handed over.
Before it is shown it is read again, tensor by tensor, and loaded into a fresh model that must give the same logits.
"""

from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open

from desktop_app.errors import JobError, StorageError

from .adapter_result import TOLERANCE, Trained, write_tokenizer
from .loading import load_model
from .measure import first_logits
from .older_config import keep_older_names

_SHARD = "4GB"


def round_weights(model: Any, dtype: torch.dtype) -> None:
    """Give each weight the value that a file in `dtype` will hold; a short training may lose much of itself by it."""
    for parameter in model.parameters():
        parameter.data = parameter.data.to(dtype).to(parameter.dtype)


def remember_full(model: Any, row: dict[str, list[int]]) -> Trained:
    """Note the logits on one row; the weights themselves are compared with those of the base on the disk."""
    return Trained(tensors={}, row=row, logits=first_logits(model, row))


def write_full(folder: Path, model: Any, tokenizer: Any, template: str, dtype: torch.dtype) -> None:
    """Save model and tokenizer; afterwards the model in memory holds the number format of the files."""
    model.to(dtype)
    model.config.dtype = dtype
    model.config.use_cache = True
    model.save_pretrained(str(folder), max_shard_size=_SHARD)
    keep_older_names(folder)
    write_tokenizer(folder, tokenizer, template)


def check_full(folder: Path, base: Path, trained: Trained, device: torch.device, is_scorer: bool) -> dict[str, str]:
    """Compare a written model with the one that was trained; return what was found.

    Raises:
        StorageError: a file holds values that are not finite, or other ones than were trained.
        JobError: no weight differs from the base model's.
    """
    checks = {"tensors": _check_tensors(folder, base)}
    model = load_model(folder, device, torch.float32, is_scorer=is_scorer)
    difference = float((first_logits(model, trained.row) - trained.logits).abs().max())
    allowed = TOLERANCE[torch.float32] * max(1.0, float(trained.logits.abs().max()))
    if not difference <= allowed:
        raise StorageError(
            f"The written model is not the trained one: its logits differ by {difference:.3g}, allowed are "
            f"{allowed:.3g}.",
            "Check the disk; the job can go on from its checkpoint.",
        )
    checks["reload"] = f"in a fresh model the logits differ by at most {difference:.2g} (allowed {allowed:.2g})"
    return checks


def saved_dtype(folder: Path) -> torch.dtype:
    """Return the number format in which most values of a model's files are held; fp32 if that is none of torch's."""
    sizes: dict[torch.dtype, int] = {}
    for file in sorted(folder.glob("*.safetensors")):
        with safe_open(file, "pt") as tensors:
            for name in tensors.keys():  # noqa: SIM118  (a safetensors file is no dict)
                part = tensors.get_slice(name)
                dtype = _DTYPES.get(part.get_dtype(), torch.float32)
                sizes[dtype] = sizes.get(dtype, 0) + torch.Size(part.get_shape()).numel()
    return max(sizes, key=lambda dtype: sizes[dtype]) if sizes else torch.float32


_DTYPES = {"F32": torch.float32, "BF16": torch.bfloat16, "F16": torch.float16}


def _check_tensors(folder: Path, base: Path) -> str:
    originals = _files_by_tensor(base)
    count = changed = 0
    for file in sorted(folder.glob("*.safetensors")):
        with safe_open(file, "pt") as tensors:
            for name in tensors.keys():  # noqa: SIM118  (a safetensors file is no dict)
                tensor = tensors.get_tensor(name)
                if not tensor.isfinite().all():
                    raise StorageError(
                        f"The written model holds values in {name} that are not finite.",
                        "Check the disk; the job can go on from its checkpoint.",
                    )
                count += 1
                changed += name not in originals or not _is_same(tensor, originals[name], name)
    if not changed:
        raise JobError("No weight was changed: nothing was learned yet.", "Let the training run for more steps.")
    return f"{count} tensors, all finite; {changed} differ from the base model's"


def _files_by_tensor(folder: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for file in sorted(folder.glob("*.safetensors")):
        with safe_open(file, "pt") as tensors:
            found |= dict.fromkeys(tensors.keys(), file)
    return found


def _is_same(tensor: torch.Tensor, file: Path, name: str) -> bool:
    with safe_open(file, "pt") as tensors:
        original = tensors.get_tensor(name)
    return original.shape == tensor.shape and bool(torch.equal(original.to(tensor.dtype), tensor))
