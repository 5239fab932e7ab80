"""Quantize: write one or several smaller copies of a model, each checked against the original before it is shown.

Knows the way of the job, not the formats: `_MAKERS` names who writes which family. Imports neither peft nor trl.

Summary of the first method: size_before_bytes, size_after_bytes (weight files), ratio (after / before),
mean_relative_error and worst_relative_error (of a layer: norm of the difference over norm of the original),
quantized_layers, kept_layers; and seconds, peak_bytes, device, method. Of several methods each has its own entries
with the method before the name, `nf4.ratio`.
"""

import json
from collections.abc import Mapping
from pathlib import Path

from desktop_app.domain.model_facts import ModelFacts
from desktop_app.domain.quantize_method import Family, QuantizeMethod, family_of
from desktop_app.domain.quantize_spec import QuantizeSpec
from desktop_app.hardware.disk import folder_bytes
from desktop_app.job_folder import JobFolder
from desktop_app.result_folder import ResultFolder

from .finished import Finished, Summary
from .foreign_errors import is_disk_full
from .merged_source import forget_merged, quantize_source
from .model_companions import copy_companions
from .preflight import check_device, check_extras, check_quantized_space
from .provenance import provenance
from .quantized import Check, Checked, Maker
from .reporter import CancelledByUser, Reporter

_WEIGHTS = ("*.safetensors", "*.gguf", "*.onnx", "*.onnx.data")


def _streaming(
    spec: QuantizeSpec, source: Path, facts: ModelFacts, folders: Mapping[QuantizeMethod, Path], reporter: Reporter
) -> Mapping[QuantizeMethod, Check]:
    from .quantize_streaming import write_copies  # imports torch

    return write_copies(spec, source, facts, folders, reporter)


def _gguf(
    spec: QuantizeSpec,
    source: Path,
    facts: ModelFacts,
    folders: Mapping[QuantizeMethod, Path],
    reporter: Reporter,
) -> Mapping[QuantizeMethod, Check]:
    from .gguf.converter import write_copies

    return write_copies(spec, source, facts, folders, reporter)


def _onnx(
    spec: QuantizeSpec, source: Path, facts: ModelFacts, folders: Mapping[QuantizeMethod, Path], reporter: Reporter
) -> Mapping[QuantizeMethod, Check]:
    from .onnx.converter import write_copies  # imports onnxruntime

    return write_copies(spec, source, facts, folders, reporter)


def _gptq(
    spec: QuantizeSpec, source: Path, facts: ModelFacts, folders: Mapping[QuantizeMethod, Path], reporter: Reporter
) -> Mapping[QuantizeMethod, Check]:
    from .gptq import write_copies  # lets transformers import gptqmodel

    return write_copies(spec, source, facts, folders, reporter)


def _awq(
    spec: QuantizeSpec, source: Path, facts: ModelFacts, folders: Mapping[QuantizeMethod, Path], reporter: Reporter
) -> Mapping[QuantizeMethod, Check]:
    from .awq import write_copies

    return write_copies(spec, source, facts, folders, reporter)


# Methods of families with the same maker are written in one pass over the source.
_MAKERS: Mapping[Family, Maker] = {
    "bitsandbytes": _streaming,
    "torchao": _streaming,
    "gptq": _gptq,
    "awq": _awq,
    "gguf": _gguf,
    "onnx": _onnx,
}


def quantize(spec: QuantizeSpec, job: JobFolder, reporter: Reporter) -> Finished:
    """Write the copies and return their verified folder.

    Raises:
        AppError: something outside this program prevents it.
        CancelledByUser: the user ended it.
    """
    check_device(spec.device)
    check_extras(spec)
    source, facts = quantize_source(spec, job, reporter)
    final = Path(spec.output) if spec.output else job.path / "result"
    result = ResultFolder(final, job.id, made_for=_everything_that_decides(spec, source))
    try:
        check_quantized_space(spec, facts, folder_bytes(result.part), result.final.parent)
        finished = _quantized(spec, source, facts, reporter, result)
    except BaseException as error:
        # After a cancellation and on a full disk whole files stay, to go on from; deleting the job removes them.
        if not isinstance(error, CancelledByUser) and not is_disk_full(error):
            result.discard()
            forget_merged(job)
        raise
    forget_merged(job)
    return finished


def _quantized(
    spec: QuantizeSpec, source: Path, facts: ModelFacts, reporter: Reporter, result: ResultFolder
) -> Finished:
    reporter.stage("Loading PyTorch")
    from . import device  # imports torch

    device.use_threads(spec.threads)
    folders = _folders(spec, result.part)
    checks = _written(spec, source, facts, folders, reporter)
    checked: dict[QuantizeMethod, Checked] = {}
    about = provenance(spec)

    def verify(part: Path) -> None:
        for method, folder in _folders(spec, part).items():
            checked[method] = checks[method](folder)
        about["kept_modules"] = {method: list(each.kept) for method, each in checked.items()}

    final = result.finish(about, verify)
    where = device.chosen_device(spec.device)
    summary: Summary = {"method": spec.method}
    for method, folder in _folders(spec, final).items():
        prefix = "" if len(folders) == 1 else f"{method}."
        summary |= {f"{prefix}{name}": value for name, value in _figures(source, folder, checked[method]).items()}
    summary |= {
        "seconds": round(reporter.worked_s(), 2),
        "peak_bytes": device.peak_memory_bytes(where),
        "device": device.device_name(where),
    }
    return Finished(result=final, summary=summary, checks=_findings(checked))


def _everything_that_decides(spec: QuantizeSpec, source: Path) -> str:
    """Say what the bytes of a copy depend on: files that an interrupted run left are used only if it is the same."""
    files = sorted(path for path in source.iterdir() if path.is_file())
    changed = {path.name: (path.stat().st_size, path.stat().st_mtime_ns) for path in files}
    return json.dumps({"about": provenance(spec), "files": changed}, sort_keys=True)


def _folders(spec: QuantizeSpec, result: Path) -> dict[QuantizeMethod, Path]:
    """Where each copy stands: the result itself, or a subfolder for each of several methods."""
    if len(spec.methods) == 1:
        return {spec.method: result}
    return {method: result / method for method in spec.methods}


def _written(
    spec: QuantizeSpec, source: Path, facts: ModelFacts, folders: Mapping[QuantizeMethod, Path], reporter: Reporter
) -> dict[QuantizeMethod, Check]:
    checks: dict[QuantizeMethod, Check] = {}
    for maker in dict.fromkeys(_MAKERS[family_of(method)] for method in folders):
        mine = {method: folder for method, folder in folders.items() if _MAKERS[family_of(method)] is maker}
        for folder in mine.values():
            folder.mkdir(exist_ok=True)
        checks |= maker(spec, source, facts, mine, reporter)
        for folder in mine.values():
            copy_companions(source, folder)
    return checks


def _figures(source: Path, folder: Path, checked: Checked) -> Summary:
    before, after = weight_bytes(source), weight_bytes(folder)
    errors = list(checked.errors.values())
    return {
        "size_before_bytes": before,
        "size_after_bytes": after,
        "ratio": round(after / before, 4),
        "mean_relative_error": sum(errors) / len(errors),
        "worst_relative_error": max(errors),
        "quantized_layers": len(errors),
        "kept_layers": len(checked.kept),
    }


def _findings(checked: Mapping[QuantizeMethod, Checked]) -> dict[str, str]:
    if len(checked) == 1:
        return dict(next(iter(checked.values())).findings)
    return {f"{method}: {name}": text for method, each in checked.items() for name, text in each.findings.items()}


def weight_bytes(folder: Path) -> int:
    """Return the size of a model's weight files."""
    return sum(path.stat().st_size for pattern in _WEIGHTS for path in folder.glob(pattern))
