"""Make a whole model of a base and an adapter, and measure how close it is to the two together.

A base held in 4 or 8 bits is dequantized first and merged then: merging into the quantized weights rounds the adapter
away. The result has the number format of the original and no quantization.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from desktop_app.errors import ModelError, StorageError

from .adapter_result import TOLERANCE, with_adapter, write_tokenizer
from .finished import Summary
from .full_result import saved_dtype
from .loading import load_model, quantized_layer_count
from .measure import first_logits
from .older_config import keep_older_names

MERGED = "merged"
Measure = Callable[[Any], float | None]


def write_merged(
    target: Path,
    base_folder: Path,
    adapter: Path,
    fresh_base: Callable[[], Any],
    tokenizer: Any,
    template: str,
    dtype: torch.dtype | None = None,
    shard_size: str = "4GB",
) -> None:
    """Write base and adapter as one model into `target`; in the number format of the base unless `dtype` is given.

    Raises:
        ModelError: they cannot be merged.
        StorageError: the disk is full.
    """
    base = fresh_base()
    if quantized_layer_count(base):
        base = base.dequantize()
    model = with_adapter(base, adapter)
    try:
        merged = model.merge_and_unload(safe_merge=True)
    except ValueError as error:
        raise ModelError(
            f"The adapter cannot be merged: {error}", "Use the adapter beside its base model, or train anew."
        ) from error
    dtype = dtype or saved_dtype(base_folder)
    merged.to(dtype)
    merged.config.dtype = dtype
    merged.config.use_cache = True
    if hasattr(merged.config, "quantization_config"):
        del merged.config.quantization_config
    merged.save_pretrained(str(target), max_shard_size=shard_size)
    keep_older_names(target)
    write_tokenizer(target, tokenizer, template)


def compare_merged(
    merged_folder: Path,
    adapter: Path,
    fresh_base: Callable[[], Any],
    row: dict[str, list[int]],
    measure: Measure,
    is_scorer: bool = False,
) -> Summary:
    """Measure a written merged model against base and adapter: logits of one row, loss on held-out rows.

    Raises:
        StorageError: they differ by more than their number formats explain.
    """
    pair = with_adapter(fresh_base(), adapter)
    device, dtype = next(pair.parameters()).device, pair.dtype
    wanted, loss = first_logits(pair, row), measure(pair)
    del pair
    merged = load_model(merged_folder, device, dtype, is_scorer=is_scorer)
    found, merged_loss = first_logits(merged, row), measure(merged)
    difference, largest = float((found - wanted).abs().max()), float(wanted.abs().max())
    allowed = max(TOLERANCE.get(dtype, 0.05), TOLERANCE.get(saved_dtype(merged_folder), 0.05)) * max(1.0, largest)
    if not difference <= allowed:
        raise StorageError(
            f"The merged model is not the adapter's: its logits differ by {difference:.3g}, allowed are {allowed:.3g}.",
            "The adapter itself is whole; turn off 'merge' and let the job go on.",
        )
    return {
        "merged_bytes": sum(path.stat().st_size for path in merged_folder.glob("*.safetensors")),
        "merged_logit_difference": difference,
        "merged_eval_loss": merged_loss,
        "merged_eval_loss_change": None if not loss or merged_loss is None else merged_loss / loss - 1,
    }
