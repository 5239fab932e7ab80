"""NF4 and LLM.int8 through transformers and bitsandbytes, in the format that transformers loads by itself.

Saved before any forward, which would repack 4-bit weights on some CPUs.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from desktop_app.domain.model_facts import ModelFacts
from desktop_app.domain.quantize_method import QuantizeMethod
from desktop_app.domain.quantize_spec import QuantizeSpec

from . import device, loading, quantized_check
from .quantized import Check, Checked
from .reporter import Reporter


def write_copies(
    spec: QuantizeSpec,
    source: Path,
    facts: ModelFacts,
    folders: Mapping[QuantizeMethod, Path],
    reporter: Reporter,
) -> Mapping[QuantizeMethod, Check]:
    """Write a copy by each method; see `Maker`."""
    return {method: _written(spec, method, source, facts, folder, reporter) for method, folder in folders.items()}


def _written(
    spec: QuantizeSpec, method: QuantizeMethod, source: Path, facts: ModelFacts, folder: Path, reporter: Reporter
) -> Check:
    where = device.chosen_device(spec.device)
    bare = loading.skeleton(source)
    kept, odd = loading.unquantized_modules(bare, method, spec.skip_modules)
    if odd:
        reporter.notice(loading.odd_shapes_sentence(odd, loading.linear_shapes(bare)), "warning")
    # What is not quantized stays in 16 bits: those of the source, bfloat16 for one of 32.
    dtype = torch.float16 if facts.dtype == "float16" else torch.bfloat16
    skip = [*kept, *odd]
    config: Any = (
        loading.four_bit_config(dtype, skip, spec.double_quantization) if method == "nf4" else loading.int8_config(skip)
    )

    def tell(done: int, total: int) -> None:
        reporter.heed()
        reporter.progress(done, total, "tensor")

    reporter.stage("Quantizing the model")
    model = loading.load_model(source, where, dtype, config, tell)
    reporter.stage("Saving the result")
    model.save_pretrained(str(folder))
    del model

    def check(written: Path) -> Checked:
        reporter.stage("Checking the result")
        found = quantized_check.QuantizedCheck(source, written, method, dtype, skip)
        errors = found.compare(tell)
        reporter.stage("Loading the result")
        return Checked(errors=errors, kept=tuple(skip), findings={**found.findings, **found.reload(where)})

    return check
