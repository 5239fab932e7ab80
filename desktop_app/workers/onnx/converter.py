"""Export a model as one ONNX graph and let onnxruntime quantize its linear layers to int8, dynamically.

Weights take 7 of the 8 bits: kernels of processors without VNNI add two products in 16 bits, which overflow with all 8
and spoil the result without a word. Made in memory, in fp32; exporters that need no memory need an older transformers.
"""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from onnxruntime.quantization import QuantType, quantize_dynamic

from desktop_app.domain.model_facts import ModelFacts
from desktop_app.domain.quantize_method import QuantizeMethod
from desktop_app.domain.quantize_spec import QuantizeSpec
from desktop_app.errors import AppError, ModelError
from desktop_app.workers import loading
from desktop_app.workers.foreign_errors import foreign_errors_in_words
from desktop_app.workers.interruption import ended_when_cancelled
from desktop_app.workers.kept_layers import asked_to_keep, unquantized_modules
from desktop_app.workers.quantized import Check
from desktop_app.workers.reference import Reference, mean_divergence, reference_of
from desktop_app.workers.reporter import Reporter

from .check import check_copy
from .graph import name_weights, save_in_16_bits
from .session import GRAPH, INPUTS, OnnxModel

_WORK = ".export"
# The exported graph computes in fp32 what PyTorch does; more than rounding differs if a mask or a length is frozen.
_EXPORT_BOUND = 1e-3


def write_copies(
    spec: QuantizeSpec, source: Path, facts: ModelFacts, folders: Mapping[QuantizeMethod, Path], reporter: Reporter
) -> Mapping[QuantizeMethod, Check]:
    """Write the graph; see `Maker`. What an earlier attempt left is removed: it starts anew.

    Raises:
        ModelError: the model's code does not go into a graph.
    """
    ((method, folder),) = folders.items()
    for left in folder.iterdir():
        shutil.rmtree(left) if left.is_dir() else left.unlink()
    work = folder / _WORK
    work.mkdir()
    dtype = torch.float16 if facts.dtype == "float16" else torch.bfloat16
    try:
        with foreign_errors_in_words(), ended_when_cancelled(reporter):
            kept, reference = _written(spec, source, method, folder, dtype, reporter)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return {method: check_copy(source, kept, reference, dtype, reporter)}


def _written(
    spec: QuantizeSpec, source: Path, method: QuantizeMethod, folder: Path, dtype: torch.dtype, reporter: Reporter
) -> tuple[list[str], Reference]:
    work = folder / _WORK
    reporter.stage("Loading the model")
    model = loading.load_model(source, torch.device("cpu"), torch.float32, progress=reporter.heeding("tensor"))
    kept, _ = unquantized_modules(model, method, asked_to_keep(model, spec))
    reference = reference_of(spec, source, model)
    reporter.heed()
    reporter.stage("Exporting the graph")
    linear = _export(model, work / GRAPH)
    model.config.save_pretrained(str(folder))
    names = {name for name, _ in model.named_parameters(remove_duplicate=False)}
    del model
    reporter.heed()
    reporter.stage("Comparing the graph with the model")
    _check_export(work / GRAPH, reference)
    reporter.heed()
    reporter.stage("Quantizing the graph")
    quantize_dynamic(
        work / GRAPH,
        work / "quantized.onnx",
        op_types_to_quantize=["MatMul", "Gemm"],
        # A Gemm is made a MatMul first, and called so.
        nodes_to_quantize=[f"{name}{end}" for name in linear if name not in kept for end in ("", "_MatMul")],
        per_channel=True,
        reduce_range=True,
        weight_type=QuantType.QInt8,
        use_external_data_format=True,
    )
    reporter.heed()
    reporter.stage("Saving the result")
    save_in_16_bits(work / "quantized.onnx", folder / GRAPH, names, dtype)
    return kept, reference


def _export(model: Any, file: Path) -> list[str]:
    """Write the graph in fp32; return the linear layers in it.

    Raises:
        ModelError: the exporter cannot follow the model's code.
    """
    ids = torch.arange(14).view(2, 7) % model.config.get_text_config().vocab_size  # (texts, tokens)
    open_sizes = {name: {0: "batch", 1: "sequence"} for name in INPUTS}
    try:
        program = torch.onnx.export(
            _Logits(model).eval(),
            (ids, torch.ones_like(ids)),
            dynamo=True,
            input_names=list(INPUTS),
            output_names=["logits"],
            dynamic_shapes=open_sizes,
            verbose=False,
        )
    except (MemoryError, AppError):
        raise
    except Exception as error:
        raise _not_exportable(model, error) from error
    assert program is not None
    linear = name_weights(program.model, {name for name, _ in model.named_modules()})
    if not linear:
        raise _not_exportable(model, ValueError("no linear layer is left in the graph"))
    program.save(str(file), external_data=True)
    return linear


class _Logits(torch.nn.Module):
    """A causal model as the graph has it: from tokens and mask to logits, nothing remembered between calls."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.model(input_ids=input_ids, attention_mask=attention_mask, use_cache=False).logits
        return logits


def _not_exportable(model: Any, error: Exception) -> ModelError:
    cause: BaseException = error
    while cause.__cause__ is not None:
        cause = cause.__cause__
    first = next((line.strip() for line in str(cause).splitlines() if line.strip()), type(cause).__name__)
    return ModelError(
        f"{type(model).__name__} cannot be exported to ONNX: {first[:200]}",
        "Choose another format; GGUF Q8_0 and LLM.int8 are about as small. The log has the exporter's whole words.",
    )


def _check_export(file: Path, reference: Reference) -> None:
    found = mean_divergence(reference, OnnxModel(file))
    if not found < _EXPORT_BOUND:
        raise ModelError(
            f"The exported graph does not compute what the model does: its mean KL divergence is {found:.3g}.",
            "Choose another format for this model, and report it.",
        )
