"""AWQ by gptqmodel: before rounding, the inputs that a text activates most are scaled up, block by block.

gptqmodel's own choice is a kernel that it compiles for CUDA; its kernel in plain torch is asked for here, which writes
the same format, needs no compiler and runs on a processor too. Not run on a GPU yet. All layers of the blocks or none.
"""

import gc
import time
from collections.abc import Mapping
from contextlib import chdir
from pathlib import Path
from typing import Any

import torch
from transformers import AwqConfig
from transformers.pytorch_utils import Conv1D

from desktop_app.domain.model_facts import ModelFacts
from desktop_app.domain.quantize_method import QuantizeMethod
from desktop_app.domain.quantize_spec import QuantizeSpec
from desktop_app.domain.quantized_size import fits_awq
from desktop_app.errors import AppError, ModelError

from . import loading
from .awq_format import AwqCheck
from .foreign_errors import first_sentence, foreign_errors_in_words
from .interruption import ended_when_cancelled
from .kept_layers import linear_shapes
from .made_with_text import TextCopy, answers_of_original, text_check, text_copy, text_rows
from .older_config import keep_older_names
from .quantized import Check
from .quantized_check import QuantizedCheck
from .quantized_format import format_of
from .reporter import CancelledByUser, Reporter

# Nats a token between original and copy; with layers exchanged it is far beyond.
_MOST_DIVERGENCE = 0.5


def write_copies(
    spec: QuantizeSpec, source: Path, facts: ModelFacts, folders: Mapping[QuantizeMethod, Path], reporter: Reporter
) -> Mapping[QuantizeMethod, Check]:
    """Write the copy; see `Maker`.

    Raises:
        ModelError: AWQ or its library cannot take this model.
    """
    ((method, folder),) = folders.items()
    copy = text_copy(spec, method, source, facts, folder, reporter)
    kept = layers_to_keep(loading.skeleton(source), spec.group_size)
    rows = text_rows(copy)
    with foreign_errors_in_words(), ended_when_cancelled(reporter):
        reference = answers_of_original(copy)
        model = _quantized(copy, rows)
        reporter.stage("Saving the result")
        model.config.quantization_config = AwqConfig(bits=4, group_size=spec.group_size, zero_point=True)
        model.save_pretrained(str(folder), max_shard_size=spec.shard_size_mb * 1_000_000)
        del model
        gc.collect()
    keep_older_names(folder)

    def opened(written: Path) -> QuantizedCheck:
        return AwqCheck(source, written, format_of(spec, method, written), copy.dtype, kept)

    return {method: text_check(copy, kept, opened, reference, _MOST_DIVERGENCE)}


def layers_to_keep(bare: Any, group_size: int) -> list[str]:
    """Name the linear layers that are not quantized: the output layer. The model is given without weights.

    Raises:
        ModelError: a layer has a shape that AWQ cannot take.
    """
    if any(isinstance(module, Conv1D) for module in bare.modules()):
        raise ModelError(f"AWQ cannot take {type(bare).__name__}: its layers are turned.", "Choose another format.")
    output = bare.get_output_embeddings()
    kept = [name for name, module in bare.named_modules() if module is output and output is not None]
    odd = {name: shape for name, shape in linear_shapes(bare).items() if not fits_awq(*shape, group_size)}
    for name, (outputs, inputs) in odd.items():
        if name not in kept:
            raise ModelError(
                f"AWQ takes all layers or none, and {name} has {inputs} inputs and {outputs} outputs: "
                f"it wants multiples of {group_size} and of 64.",
                "Choose a smaller group size, or another format.",
            )
    return kept


def _quantized(copy: TextCopy, rows: torch.Tensor) -> Any:
    """In RAM; with a GPU each block goes there and back."""
    from gptqmodel import BACKEND, GPTQModel, QuantizeConfig
    from gptqmodel.quantization import FORMAT, METHOD
    from gptqmodel.utils.threadx import _DeviceWorker

    # Where one of its threads fails it ends the whole process at once; the exception reaches us without that too.
    _DeviceWorker._abort_process = lambda worker, error: None
    copy.reporter.stage("Loading the model")
    config = QuantizeConfig(
        quant_method=METHOD.AWQ,
        format=FORMAT.GEMM,
        bits=4,
        group_size=copy.spec.group_size,
        sym=False,
        device=copy.where.type,
        offload_to_disk=False,
    )
    try:
        wrapped = GPTQModel.load(str(copy.source), config, dtype=copy.dtype, trust_remote_code=False)
        wrapped.subset_callback = _Heard(copy.reporter, wrapped.model.config.get_text_config().num_hidden_layers)
        each = [{"input_ids": row.tolist(), "attention_mask": [1] * len(row)} for row in rows]
        with chdir(copy.reporter.folder.path):  # it keeps a log where it is run
            wrapped.quantize(each, batch_size=1, backend=BACKEND.AWQ_TORCH)
    except (AppError, CancelledByUser, MemoryError):
        raise
    except Exception as error:  # the original has been loaded a moment ago: it is the library that cannot
        raise ModelError(
            f"AWQ's library cannot take this model: {first_sentence(error)}",
            "Choose another format; the log has the library's whole words.",
        ) from error
    return wrapped.model


class _Heard:
    """Hears where the library is: a block is one step, for it takes its layers together."""

    def __init__(self, reporter: Reporter, blocks: int) -> None:
        self._reporter, self._blocks = reporter, blocks
        self._done, self._started = -1, 0.0

    def __call__(self, *, layer_idx: int, **_: Any) -> None:
        if self._done < 0:
            self._reporter.stage("Quantizing the model")
            self._started = time.monotonic()
        self._reporter.heed()
        if layer_idx == self._done:
            return
        self._done = layer_idx
        took = time.monotonic() - self._started
        left = took / layer_idx * (self._blocks - layer_idx) if layer_idx else None
        self._reporter.progress(layer_idx, self._blocks, "block", eta_s=left)
