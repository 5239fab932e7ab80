"""What GPTQ and AWQ share: the text that a copy is made with, what the original says to it, and the check afterwards.

Knows neither method: who writes the copy does so between these.
"""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from desktop_app import paths
from desktop_app.domain.model_facts import ModelFacts
from desktop_app.domain.quantize_method import METHODS, QuantizeMethod
from desktop_app.domain.quantize_spec import QuantizeSpec
from desktop_app.domain.quantized_size import TEXT_ROWS

from . import device, loading
from .calibration import calibration_rows
from .quantized import Check, Checked
from .quantized_check import QuantizedCheck
from .reference import Reference, reference_of
from .reload_check import WrittenCopy, reloaded
from .reporter import Reporter


@dataclass(frozen=True, slots=True, kw_only=True)
class TextCopy:
    """A copy that is to be made into `folder`; `dtype` is that of its other weights, `where` it is computed."""

    spec: QuantizeSpec
    method: QuantizeMethod
    source: Path
    folder: Path
    dtype: torch.dtype
    where: torch.device
    reporter: Reporter


def text_copy(
    spec: QuantizeSpec, method: QuantizeMethod, source: Path, facts: ModelFacts, folder: Path, reporter: Reporter
) -> TextCopy:
    """Empty the folder of what an earlier attempt left: it starts anew."""
    for left in folder.iterdir():
        shutil.rmtree(left) if left.is_dir() else left.unlink()
    dtype = torch.float16 if facts.dtype == "float16" else torch.bfloat16
    return TextCopy(
        spec=spec,
        method=method,
        source=source,
        folder=folder,
        dtype=dtype,
        where=device.chosen_device(spec.device),
        reporter=reporter,
    )


def text_rows(copy: TextCopy) -> torch.Tensor:
    """Read the user's text, or ours: (rows, tokens).

    Raises:
        DataError: it is too short, or cannot be read.
    """
    text = Path(copy.spec.calibration_data or paths.calibration_text())
    return calibration_rows(text, copy.source, TEXT_ROWS, METHODS[copy.method].title, copy.reporter)


def answers_of_original(copy: TextCopy) -> Reference:
    """Let the original read the beginning of the text, and forget it again."""
    copy.reporter.stage("Reading the text with the original")
    original = loading.load_model(
        copy.source, torch.device("cpu"), copy.dtype, progress=copy.reporter.heeding("tensor")
    )
    return reference_of(copy.spec, copy.source, original)


def text_check(
    copy: TextCopy,
    kept: list[str],
    opened: Callable[[Path], QuantizedCheck],
    reference: Reference,
    most_divergence: float,
) -> Check:
    """Return the check: the files by what `opened` makes of them, then the copy in a fresh process on the text."""

    def check(written: Path) -> Checked:
        copy.reporter.stage("Checking the result")
        found = opened(written)
        errors = found.compare(copy.reporter.heeding("byte"))
        again = WrittenCopy(
            spec=copy.spec,
            method=copy.method,
            source=copy.source,
            folder=written,
            where=copy.where,
            dtype=copy.dtype,
            layers=found.layers,
        )
        findings = {**found.findings, **reloaded(again, copy.reporter, reference, most_divergence)}
        return Checked(errors=errors, kept=tuple(kept), findings=findings)

    return check
