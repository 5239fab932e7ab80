"""Compare a quantized ONNX graph with its original: weights from file to file, and what it computes in onnxruntime."""

from pathlib import Path
from typing import Any

import onnx
import torch
from onnx import TensorProto, numpy_helper

from desktop_app.errors import AppError
from desktop_app.workers.kept_layers import linear_shapes
from desktop_app.workers.loading import skeleton
from desktop_app.workers.quantized import Check, Checked
from desktop_app.workers.quantized_check import spoiled
from desktop_app.workers.reference import Reference, mean_divergence
from desktop_app.workers.reporter import Reporter
from desktop_app.workers.tensor_source import TensorSource

from .session import GRAPH, OnnxModel

ERROR_BOUND = 0.1  # of a layer, as for the other 8-bit formats with one bit less; another layer's weights give 1.4
DIVERGENCE_BOUND = 1.0  # nats a token; a graph with layers exchanged is far beyond
TOKENS = 64


def check_copy(source: Path, kept: list[str], reference: Reference, dtype: torch.dtype, reporter: Reporter) -> Check:
    """Return the check of a written folder. `kept`: layers that are not quantized; `dtype`: what they are stored in."""

    def check(folder: Path) -> Checked:
        reporter.stage("Checking the result")
        errors, plain = _compared(source, folder, kept, dtype, reporter)
        reporter.stage("Loading the result")
        mean, worst = sum(errors.values()) / len(errors), max(errors.values())
        findings = {
            "names and shapes": f"{len(errors)} quantized layers and {plain} other tensors, all finite",
            "format": f"all {len(errors)} layers hold 8-bit values (7 bits used)",
            "relative error": f"mean {mean:.4f}, worst {worst:.4f} of {len(errors)} layers (allowed {ERROR_BOUND})",
            **_size(source, folder),
            **_run(folder, reference),
        }
        return Checked(errors=errors, kept=tuple(kept), findings=findings)

    return check


def _compared(
    source: Path, folder: Path, kept: list[str], dtype: torch.dtype, reporter: Reporter
) -> tuple[dict[str, float], int]:
    """Return the relative error of each quantized layer, and how many other tensors equal the original's."""
    try:
        graph = onnx.load(str(folder / GRAPH)).graph
    except Exception as error:
        raise spoiled(f"it cannot be read: {str(error)[:200]}") from error
    held = {tensor.name: tensor for tensor in graph.initializer}
    bare = skeleton(source)
    shapes = {name: shape for name, shape in linear_shapes(bare).items() if name not in kept}
    also = {name: alias for alias, name in dict(bare.all_tied_weights_keys).items()}  # the graph keeps one of the two
    errors: dict[str, float] = {}
    plain = 0
    with TensorSource(source) as original:
        names = [name for name in original if torch.empty(0, dtype=original.dtype(name)).is_floating_point()]
        for done, name in enumerate(names):
            reporter.heed()
            reporter.progress(done, len(names), "tensor")
            layer = name.removesuffix(".weight")
            wanted = original.read(name).view(original.shape(name)).float()
            if layer in shapes:
                errors[layer] = _error(layer, held, wanted, shapes[layer])
                continue
            tensor = held.get(f"{name}.16") or held.get(f"{also.get(name)}.16")
            if tensor is not None:  # the exporter may have computed something else of it
                _check_plain(name, tensor, wanted, dtype)
                plain += 1
        reporter.progress(len(names), len(names), "tensor")
    if not errors:
        raise spoiled("none of its layers could be found again in the original")
    return errors, plain


def _error(layer: str, held: dict[str, Any], wanted: torch.Tensor, shape: tuple[int, int]) -> float:
    parts = [held.get(f"{layer}.weight_{part}") for part in ("quantized", "scale", "zero_point")]
    if any(part is None for part in parts):
        raise spoiled(f"{layer} is not quantized")
    packed, scale, zero = (torch.from_numpy(numpy_helper.to_array(part).copy()) for part in parts)
    if packed.dtype != torch.int8:
        raise spoiled(f"{layer} holds {packed.dtype}, not 8-bit values")
    values = (packed.float() - zero.float()) * scale  # (in, out), or (out, in) where the graph multiplies it turned
    if values.shape != wanted.shape:
        values = values.T
    if tuple(sorted(values.shape)) != tuple(sorted(shape)) or values.shape != wanted.shape:
        raise spoiled(f"{layer} has the shape {tuple(values.shape)}, not {shape}")
    norm = max(float(wanted.norm()), 1e-12)
    # A square matrix does not tell by its shape which way round it stands.
    error = min(float((each - wanted).norm()) / norm for each in _ways_round(values))
    if not error <= ERROR_BOUND:
        raise spoiled(f"{layer} differs from the original by {error:.3f}, allowed is {ERROR_BOUND}")
    return error


def _ways_round(values: torch.Tensor) -> list[torch.Tensor]:
    return [values, values.T] if values.shape[0] == values.shape[1] else [values]


def _check_plain(name: str, tensor: Any, wanted: torch.Tensor, dtype: torch.dtype) -> None:
    kind = {TensorProto.BFLOAT16: torch.bfloat16, TensorProto.FLOAT16: torch.float16}.get(tensor.data_type)
    values = torch.frombuffer(bytearray(tensor.raw_data), dtype=kind or torch.uint8)
    if kind != dtype or values.numel() != wanted.numel():
        raise spoiled(f"{name} is stored in another way than it was written")
    values = values.view(tuple(tensor.dims))
    if not values.isfinite().all():
        raise spoiled(f"{name} holds values that are not finite")
    wanted = wanted.to(dtype)
    turned = values.T if values.ndim == 2 else values
    is_equal = any(each.shape == wanted.shape and torch.equal(each, wanted) for each in (values, turned))
    if not is_equal:
        raise spoiled(f"{name} holds other values than the original")


def _size(source: Path, folder: Path) -> dict[str, str]:
    before = sum(path.stat().st_size for path in source.glob("*.safetensors"))
    after = sum(path.stat().st_size for path in folder.glob("*.onnx*"))
    if after >= before:
        raise spoiled(f"it is not smaller: {after:,} bytes after {before:,}")
    return {"size": f"{after:,} bytes after {before:,}, {after / before:.3f} of the original"}


def _run(folder: Path, reference: Reference) -> dict[str, str]:
    """Load it as anyone would, compare what it computes, and let it write."""
    try:
        model = OnnxModel(folder / GRAPH)
    except AppError as error:
        raise spoiled(error.message) from error
    found = mean_divergence(reference, model)
    if not found < DIVERGENCE_BOUND:
        raise spoiled(f"its mean KL divergence from the original is {found:.3g}, allowed is {DIVERGENCE_BOUND}")
    tokens = reference.ids.shape[1]
    made = model.generate(reference.ids[:, :8], max_new_tokens=TOKENS, min_new_tokens=TOKENS).shape[1] - 8
    return {
        "reload": f"onnxruntime loads it; over {tokens} tokens its mean KL divergence from the original "
        f"is {found:.3g} nats (allowed {DIVERGENCE_BOUND}); it wrote {made} tokens"
    }
