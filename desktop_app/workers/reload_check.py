"""Load a finished folder as anyone would and look at its logits."""

import gc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from desktop_app.errors import ModelError

from .loading import load_model, quantized_layer_count
from .quantized_check import spoiled


def reloaded(
    folder: Path,
    layers: int,
    device: torch.device,
    dtype: torch.dtype,
    also: Callable[[Any], str] | None = None,
) -> dict[str, str]:
    """Load the folder with `layers` quantized layers; left out, and said so, if memory does not allow.

    `also` looks at the loaded model too, and says what it found.

    Raises:
        StorageError: it cannot be loaded, or gives values that are not finite.
    """
    try:
        model = load_model(folder, device, dtype)
    except ModelError as error:
        raise spoiled(f"it cannot be loaded: {error.message}") from error
    except (MemoryError, torch.OutOfMemoryError):
        return {"reload": "left out: there is not enough memory to load the result whole"}
    if quantized_layer_count(model) != layers:
        raise spoiled(f"loaded, it has {quantized_layer_count(model)} quantized layers, not {layers}")
    ids = torch.arange(0, 32, device=device)[None] % model.config.get_text_config().vocab_size  # (1, tokens)
    with torch.no_grad():
        logits = model(input_ids=ids, use_cache=False).logits
    if not logits.isfinite().all():
        raise spoiled("its logits are not finite")
    count = logits.numel()
    found = f"; {also(model)}" if also else ""
    del model, logits
    gc.collect()
    return {"reload": f"loads completely, {layers} layers quantized; {count:,} logits are finite{found}"}
