"""Quantize: write a smaller copy of a model, NF4 or LLM.int8, in the format that transformers loads by itself.

Saved before any forward, which would repack 4-bit weights on some CPUs. Imports neither peft nor trl.

Summary: size_before_bytes, size_after_bytes (weight files), ratio (after / before), mean_relative_error and
worst_relative_error (of a layer: norm of the difference over norm of the original), quantized_layers, kept_layers,
seconds, peak_bytes, device, dtype (of what is not quantized), method.
"""

import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from desktop_app.domain.model_facts import ModelFacts
from desktop_app.domain.quantize_spec import QuantizeSpec
from desktop_app.errors import ModelError
from desktop_app.job_folder import JobFolder
from desktop_app.result_folder import ResultFolder

from .finished import Finished, Summary
from .preflight import base_model_facts, check_device, check_quantized_space
from .provenance import provenance
from .reporter import Reporter

# What goes along beside the weights and the config; licences by any spelling.
_COMPANIONS = (
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "tokenizer.model",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "chat_template.jinja",
    "chat_template.json",
)
_LICENCE_WORDS = ("LICENSE", "LICENCE", "NOTICE", "USE_POLICY", "COPYING")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """How to quantize: `kept` by rule or wish, `odd` because of their shape; `config` is for transformers."""

    device: Any
    dtype: Any
    config: Any
    kept: list[str]
    odd: list[str]


def quantize(spec: QuantizeSpec, job: JobFolder, reporter: Reporter) -> Finished:
    """Write a quantized copy and return its verified folder.

    Raises:
        AppError: something outside this program prevents it.
        CancelledByUser: the user ended it.
    """
    check_device(spec.device)
    source = Path(spec.model)
    facts = base_model_facts(source)
    if facts.quantization:
        raise ModelError(
            f"{source} is quantized already ({facts.quantization}).",
            "Choose the original model: quantizing twice only loses quality.",
        )
    result = ResultFolder(Path(spec.output) if spec.output else job.path / "result", job.id)
    try:
        check_quantized_space(spec, facts, result.final.parent)
        return _quantized(spec, source, facts, reporter, result)
    except BaseException:
        result.discard()
        raise


def _quantized(
    spec: QuantizeSpec, source: Path, facts: ModelFacts, reporter: Reporter, result: ResultFolder
) -> Finished:
    started = time.monotonic()
    reporter.stage("Starting PyTorch")
    from . import device, loading, quantized_check  # these import torch

    device.use_threads(spec.threads)
    plan = _plan(spec, source, facts, reporter)
    reporter.stage("Quantizing the model")

    def tell(done: int, total: int) -> None:
        reporter.heed()
        reporter.progress(done, total, "tensor")

    model = loading.load_model(source, plan.device, plan.dtype, plan.config, tell)
    reporter.stage("Saving the result")
    model.save_pretrained(str(result.part))
    copy_companions(source, result.part)
    del model
    checks: dict[str, str] = {}
    errors: list[float] = []

    def verify(folder: Path) -> None:
        reporter.stage("Checking the result")
        check = quantized_check.QuantizedCheck(source, folder, spec.method, plan.dtype, [*plan.kept, *plan.odd])
        errors.extend(check.compare(tell).values())
        checks.update(check.findings)
        reporter.stage("Loading the result")
        checks.update(check.reload(plan.device))

    peak = device.peak_memory_bytes(plan.device)
    final = result.finish(provenance(spec, kept_modules=[*plan.kept, *plan.odd]), verify)
    before, after = weight_bytes(source), weight_bytes(final)
    summary: Summary = {
        "method": spec.method,
        "size_before_bytes": before,
        "size_after_bytes": after,
        "ratio": round(after / before, 4),
        "mean_relative_error": sum(errors) / len(errors),
        "worst_relative_error": max(errors),
        "quantized_layers": len(errors),
        "kept_layers": len(plan.kept) + len(plan.odd),
        "seconds": round(time.monotonic() - started, 2),
        "peak_bytes": max(peak, device.peak_memory_bytes(plan.device)),
        "device": device.device_name(plan.device),
        "dtype": device.dtype_name(plan.dtype),
    }
    return Finished(result=final, summary=summary, checks=checks)


def _plan(spec: QuantizeSpec, source: Path, facts: ModelFacts, reporter: Reporter) -> _Plan:
    import torch

    from . import device, loading

    bare = loading.skeleton(source)
    kept, odd = loading.unquantized_modules(bare, spec.method, spec.skip_modules)
    if odd:
        reporter.notice(loading.odd_shapes_sentence(odd, loading.linear_shapes(bare)), "warning")
    # What is not quantized stays in 16 bits: those of the source, bfloat16 for one of 32.
    dtype = torch.float16 if facts.dtype == "float16" else torch.bfloat16
    skip = [*kept, *odd]
    config = (
        loading.nf4_config(dtype, skip, spec.double_quantization) if spec.method == "nf4" else loading.int8_config(skip)
    )
    return _Plan(device=device.chosen_device(spec.device), dtype=dtype, config=config, kept=kept, odd=odd)


def copy_companions(source: Path, target: Path) -> None:
    """Take tokenizer, generation config, chat template and licence along, as they are."""
    for path in sorted(source.iterdir()):
        is_licence = any(path.name.upper().startswith(word) for word in _LICENCE_WORDS)
        if path.is_file() and (path.name in _COMPANIONS or is_licence):
            shutil.copyfile(path, target / path.name)


def weight_bytes(folder: Path) -> int:
    """Return the size of a model's weight files."""
    return sum(path.stat().st_size for path in folder.glob("*.safetensors"))
