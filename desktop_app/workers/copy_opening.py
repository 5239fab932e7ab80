"""Open a finished copy as anyone would and look at its logits, in a process that has not written it.

A worker by its libraries, a service by how it is spoken to: the worker that quantizes is its owner. Whatever memory it
takes goes with it, and where there is too little the system ends it and not the job.
"""

import gc
import logging
import os
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from desktop_app.domain.quantize_spec import QuantizeSpec
from desktop_app.process import identity_of, prefer_as_memory_victim
from desktop_app.serving import Teller, serve

from .foreign_errors import foreign_errors_in_words, loader_errors_in_words
from .memory_cap import leave_before_memory_is_full

if TYPE_CHECKING:
    import torch

_TOKENS = 32


def run_copy_opening() -> int:
    """Open copies until the owner is gone; return the exit code."""
    logging.getLogger("torchao").setLevel(logging.ERROR)
    prefer_as_memory_victim(identity_of(os.getpid(), ""))
    threading.Thread(target=leave_before_memory_is_full, name="memory", daemon=True).start()
    return serve(_methods)


def _methods() -> Mapping[str, Callable[..., Any]]:
    return {"open_whole": open_whole, "open_layers": open_layers}


def open_whole(
    folder: str, source: str, gguf_file: str, device: str, dtype: str, threads: int, reference: str
) -> dict[str, Any]:
    """Load a copy by transformers and compute a few logits.

    The answer: quantized `layers`, how many weights are `missing`, how many `logits` and whether each `is_finite`;
    its `divergence` from a kept `reference` of the original, None without one.

    Raises:
        ModelError: it cannot be loaded.
        MemoryShortage: it does not fit.
    """
    import torch

    from .loading import load_model

    torch.set_num_threads(threads)
    where, missing = torch.device(device), 0
    try:
        with foreign_errors_in_words():
            if gguf_file:
                model, missing = _loaded_gguf(Path(folder) / gguf_file, Path(source), getattr(torch, dtype))
                model.to(where)
            else:
                model = load_model(Path(folder), where, getattr(torch, dtype), is_exact=True)
            return {"missing": missing, **_looked_at(model, where, reference)}
    finally:
        model = None
        gc.collect()  # its files are renamed next, which Windows refuses while they are mapped


def _looked_at(model: Any, where: "torch.device", reference: str) -> dict[str, Any]:
    import torch

    from .loading import quantized_layer_count
    from .reference import kept_reference, mean_divergence

    with torch.no_grad():
        logits = model(input_ids=_tokens(model.config).to(where), use_cache=False).logits
    return {
        "layers": quantized_layer_count(model),
        "logits": logits.numel(),
        "is_finite": bool(logits.isfinite().all()),
        "divergence": mean_divergence(kept_reference(Path(reference)), model) if reference else None,
    }


def open_layers(
    folder: str,
    source: str,
    device: str,
    threads: int,
    spec: dict[str, Any],
    method: str,
    layers: dict[str, tuple[int, int]],
    gguf_file: str,
    gguf_tensors: list[dict[str, Any]],
    progress: Teller,
) -> dict[str, Any]:
    """Compute a few logits of a copy layer by layer; it is given what the copy was planned to be.

    Raises:
        ModelError: the model is not made of layers in a row.
        MemoryShortage: not even a layer fits.
    """
    import torch
    from transformers import AutoConfig

    from .copy_weights import CopyWeights
    from .layer_by_layer import LayerByLayer, Weights
    from .quantized_format import format_of
    from .tensor_source import TensorSource

    torch.set_num_threads(threads)
    with loader_errors_in_words(Path(source)):
        config = AutoConfig.from_pretrained(source, local_files_only=True, trust_remote_code=False)
    with foreign_errors_in_words(), TensorSource(Path(source if gguf_file else folder)) as written:
        weights: Weights
        if gguf_file:
            from .gguf.file_weights import FileWeights
            from .gguf.tensor_plan import GgufTensor

            planned = [GgufTensor(**{**each, "shape": tuple(each["shape"])}) for each in gguf_tensors]
            weights = FileWeights(Path(folder) / gguf_file, planned)
        else:
            asked = QuantizeSpec.model_validate(spec)
            shapes = {name: (shape[0], shape[1]) for name, shape in layers.items()}
            weights = CopyWeights(written, format_of(asked, method, Path(folder)), shapes)  # type: ignore[arg-type]
        logits = LayerByLayer(config, weights, torch.device(device), progress).logits(_tokens(config))
    return {"logits": logits.numel(), "is_finite": bool(logits.isfinite().all())}


def _tokens(config: Any) -> "torch.Tensor":
    import torch

    return torch.arange(_TOKENS)[None] % config.get_text_config().vocab_size  # (1, tokens)


def _loaded_gguf(file: Path, source: Path, dtype: "torch.dtype") -> tuple[Any, int]:
    """Let transformers read a GGUF file; also return how many of the model's weights it does not find there.

    With the original's config: its reader does not look at the size of some models' heads. Mistral is a Llama there.
    """
    from transformers import AutoConfig, AutoModelForCausalLM, LlamaConfig

    safely = {"local_files_only": True, "trust_remote_code": False}
    with loader_errors_in_words(file):
        config = AutoConfig.from_pretrained(str(source), **safely)
        if config.model_type == "mistral":
            config = LlamaConfig(**{name: value for name, value in config.to_dict().items() if name != "model_type"})
        model, info = AutoModelForCausalLM.from_pretrained(
            str(file.parent), gguf_file=file.name, config=config, dtype=dtype, output_loading_info=True, **safely
        )
    return model.eval(), len(info["missing_keys"]) + len(info["mismatched_keys"])
