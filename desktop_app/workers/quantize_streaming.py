"""Copies that transformers loads by itself (bitsandbytes, torchao), streamed from file to file in one pass.

A model whose files do not hold its tensors by their own names (experts apart, tied weights twice) goes through
transformers instead: the same bits, but the result is in memory while it is made.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import TorchAoConfig
from transformers.pytorch_utils import Conv1D

from desktop_app.domain.model_facts import ModelFacts
from desktop_app.domain.quantize_method import METHODS, QuantizeMethod, is_four_bit_block
from desktop_app.domain.quantize_spec import QuantizeSpec

from . import device, loading
from .bitsandbytes_recipe import FourBit, Int8, Plain
from .kept_layers import asked_to_keep, linear_shapes, odd_shapes_sentence, unquantized_modules
from .older_config import keep_older_names
from .quantized import Check, Checked
from .quantized_check import QuantizedCheck
from .quantized_format import format_of
from .reload_check import WrittenCopy, reloaded
from .reporter import Reporter
from .tensor_source import TensorSource
from .tensor_stream import Copy, Recipe, safetensors_copy
from .tensor_stream import write_copies as stream_copies

_COMPUTE = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """How one copy is made: `kept` by rule or wish, `odd` because of their shape; `config` is for transformers."""

    method: QuantizeMethod
    folder: Path
    dtype: torch.dtype
    config: Any
    kept: list[str]
    odd: list[str]

    @property
    def skipped(self) -> list[str]:
        return [*self.kept, *self.odd]


def write_copies(
    spec: QuantizeSpec,
    source: Path,
    facts: ModelFacts,
    folders: Mapping[QuantizeMethod, Path],
    reporter: Reporter,
) -> Mapping[QuantizeMethod, Check]:
    """Write a copy by each method; see `Maker`."""
    where = device.chosen_device(spec.device)
    bare = loading.skeleton(source)
    plans = [_plan(spec, method, folder, bare, facts) for method, folder in folders.items()]
    for plan in plans:
        if plan.odd:
            sentence = odd_shapes_sentence(plan.odd, linear_shapes(bare), max(64, spec.block_size))
            reporter.notice(f"{METHODS[plan.method].title}: {sentence}" if len(plans) > 1 else sentence, "warning")
    with TensorSource(source) as tensors:
        reason = not_streamable(bare, tensors)
        if not reason:
            reporter.stage("Quantizing the model")
            copies = [
                _copy(plan, _recipes(spec, plan, bare, tensors, where), spec.shard_size_mb * 1_000_000)
                for plan in plans
            ]
            stream_copies(tensors, copies, _telling(reporter), torch.get_num_threads())
    for plan in plans:
        if reason:
            _through_transformers(spec, source, plan, where, reporter, reason)
        else:
            write_config(bare, plan.folder, plan.dtype, plan.config)
    return {plan.method: _check(spec, source, plan, where, reporter) for plan in plans}


def _plan(spec: QuantizeSpec, method: QuantizeMethod, folder: Path, bare: Any, facts: ModelFacts) -> _Plan:
    kept, odd = unquantized_modules(bare, method, asked_to_keep(bare, spec), spec.block_size)
    # What is not quantized stays in 16 bits: those of the source, bfloat16 for one of 32.
    dtype = torch.float16 if facts.dtype == "float16" else torch.bfloat16
    skip = [*kept, *odd]
    config: Any = loading.int8_config(skip)
    if METHODS[method].family == "torchao":
        from .torchao_recipe import torchao_config  # imports torchao, which the other methods do without

        config = TorchAoConfig(torchao_config(method), modules_to_not_convert=skip)
    elif is_four_bit_block(method):
        compute = _COMPUTE.get(spec.compute_dtype, dtype)
        config = loading.four_bit_config(compute, skip, spec.double_quantization, method)
    return _Plan(method=method, folder=folder, dtype=dtype, config=config, kept=kept, odd=odd)


def not_streamable(bare: Any, tensors: TensorSource) -> str:
    """Say why the files cannot be copied tensor by tensor, '' if they can; `bare` is the model without weights."""
    tied = set(bare.all_tied_weights_keys)
    wanted = {name: tuple(tensor.shape) for name, tensor in bare.state_dict().items() if name not in tied}
    for name, shape in wanted.items():
        if name not in tensors:
            return f"{name} does not stand in its files under this name"
        if tensors.shape(name) != shape:
            return f"{name} has another shape in its files"
    if twice := next((name for name in tied if name in tensors), ""):
        return f"{twice} stands in its files although it is tied to another tensor"
    if getattr(bare, "_keep_in_fp32_modules", None) or getattr(bare, "_keep_in_fp32_modules_strict", None):
        return "parts of it are kept in 32 bits"
    return ""


def _recipes(
    spec: QuantizeSpec, plan: _Plan, bare: Any, tensors: TensorSource, where: torch.device
) -> dict[str, Recipe]:
    """Say for each tensor how it is written; what the model does not know is left out, as loaders leave it out."""
    state = bare.state_dict()
    quantized = {f"{name}.weight" for name in linear_shapes(bare) if name not in plan.skipped}
    turned = {f"{name}.weight" for name, module in bare.named_modules() if isinstance(module, Conv1D)}
    recipes: dict[str, Recipe] = {}
    for name in tensors:
        if name not in state:
            continue
        shape = tensors.shape(name)
        if name not in quantized:
            is_number = tensors.dtype(name).is_floating_point
            recipes[name] = Plain(name=name, shape=shape, dtype=plan.dtype if is_number else tensors.dtype(name))
            continue
        shape = shape[::-1] if name in turned else shape
        recipes[name] = _quantizing(spec, plan, name, shape, where, is_turned=name in turned)
    return recipes


def _quantizing(
    spec: QuantizeSpec, plan: _Plan, name: str, shape: tuple[int, ...], where: torch.device, is_turned: bool
) -> Recipe:
    common: dict[str, Any] = {
        "name": name,
        "shape": shape,
        "dtype": plan.dtype,
        "device": where,
        "is_turned": is_turned,
    }
    if METHODS[plan.method].family == "torchao":
        from .torchao_recipe import TorchaoRows

        return TorchaoRows(method=plan.method, **common)
    if is_four_bit_block(plan.method):
        return FourBit(kind=plan.method, block_size=spec.block_size, is_double=spec.double_quantization, **common)
    return Int8(**common)


def _copy(plan: _Plan, recipes: dict[str, Recipe], shard_bytes: int) -> Copy:
    """torchao wants to be told in the header what each tensor is, the plain ones too."""
    remarks: dict[str, str] = {}
    if METHODS[plan.method].family == "torchao":
        remarks["tensor_names"] = json.dumps(list(recipes))
        for name, recipe in recipes.items():
            remarks |= getattr(recipe, "remarks", {name: json.dumps({"_type": "Tensor"})})
    return safetensors_copy(plan.folder, recipes, shard_bytes, remarks)


def write_config(bare: Any, folder: Path, dtype: torch.dtype, quantization: Any) -> None:
    """Write what `save_pretrained` writes beside the weights."""
    config = bare.config
    config.dtype = dtype
    config.architectures = [type(bare).__name__]
    config.quantization_config = quantization
    config.save_pretrained(str(folder))
    keep_older_names(folder)
    if bare.can_generate():
        bare.generation_config.save_pretrained(str(folder))


def _through_transformers(
    spec: QuantizeSpec, source: Path, plan: _Plan, where: torch.device, reporter: Reporter, reason: str
) -> None:
    """Saved before any forward, which would repack 4-bit weights on some CPUs."""
    reporter.notice(f"The model cannot be streamed, so the copy is made in memory: {reason}.")
    reporter.stage("Quantizing the model")
    model = loading.load_model(source, where, plan.dtype, plan.config, reporter.heeding("tensor"))
    reporter.stage("Saving the result")
    model.save_pretrained(str(plan.folder), max_shard_size=spec.shard_size_mb * 1_000_000)
    keep_older_names(plan.folder)


def _check(spec: QuantizeSpec, source: Path, plan: _Plan, where: torch.device, reporter: Reporter) -> Check:
    def check(written: Path) -> Checked:
        reporter.stage("Checking the result")
        found = QuantizedCheck(source, written, format_of(spec, plan.method, written), plan.dtype, plan.skipped)
        errors = found.compare(reporter.heeding("byte"))
        copy = WrittenCopy(
            spec=spec,
            method=plan.method,
            source=source,
            folder=written,
            where=where,
            dtype=plan.dtype,
            layers=found.layers,
        )
        findings = {**found.findings, **reloaded(copy, reporter)}
        return Checked(errors=errors, kept=tuple(plan.skipped), findings=findings)

    return check


def _telling(reporter: Reporter) -> Callable[[int, int, float], None]:
    def tell(done: int, total: int, rate: float) -> None:
        reporter.heed()
        left = (total - done) / rate if rate else None
        reporter.progress(done, total, "byte", rate=rate or None, rate_unit="byte" if rate else "", eta_s=left)

    return tell
