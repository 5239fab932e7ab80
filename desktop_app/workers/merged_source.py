"""What is quantized: the model itself, or an adapter and its base as one model in the number format of the base.

Never merged into quantized weights, whose rounding would take most of what was learned. The merged model lies in the
job's folder until the job has succeeded, so that a job that goes on need not merge again.
"""

import shutil
from pathlib import Path

from desktop_app.domain.model_facts import ModelFacts
from desktop_app.domain.quantize_spec import QuantizeSpec
from desktop_app.errors import ModelError
from desktop_app.hardware.disk import check_space
from desktop_app.job_folder import JobFolder
from desktop_app.library.model_folder import check_model_folder, model_facts
from desktop_app.result_folder import ResultFolder, manifest_problems, read_manifest

from .model_companions import copy_companions
from .preflight import base_model_facts
from .provenance import headers_fingerprint
from .reporter import Reporter

_MERGED = "merged"


def quantize_source(spec: QuantizeSpec, job: JobFolder, reporter: Reporter) -> tuple[Path, ModelFacts]:
    """Return the folder to quantize and its facts; an adapter is merged first.

    Raises:
        ModelError: the model is damaged, unsafe or quantized already, or the adapter's base is or is not there.
        StorageError: there is no room for the merged model.
    """
    folder = Path(spec.model)
    facts = check_model_folder(folder)
    if facts.kind != "adapter":
        _refuse_quantized(facts)
        return folder, base_model_facts(folder)
    if not Path(facts.base_model).is_dir():
        raise ModelError(
            f"The adapter needs its base model {facts.base_model}, which is not there.",
            "Put that model back, then start again.",
        )
    base = base_model_facts(Path(facts.base_model))
    _refuse_quantized(base)
    merged = _merged(spec, job, facts, base, reporter)
    return merged, base_model_facts(merged).model_copy(update={"name": facts.name})


def forget_merged(job: JobFolder) -> None:
    """Remove the merged model of a job that needs it no more."""
    shutil.rmtree(job.path / _MERGED, ignore_errors=True)


def _refuse_quantized(facts: ModelFacts) -> None:
    if facts.quantization:
        raise ModelError(
            f"{facts.path} is quantized already ({facts.quantization}).",
            "Choose the original model: quantizing twice only loses quality.",
        )


def _merged(spec: QuantizeSpec, job: JobFolder, facts: ModelFacts, base: ModelFacts, reporter: Reporter) -> Path:
    final, adapter = job.path / _MERGED, Path(facts.path)
    made_of = {"adapter": _fingerprint(adapter), "base": _fingerprint(Path(base.path))}
    if final.is_dir():
        reporter.stage("Checking the merged model")
        if not manifest_problems(final) and read_manifest(final).get("made_of") == made_of:
            return final
        shutil.rmtree(final)
    check_space(base.size_bytes, job.path)
    result = ResultFolder(final, job.id)
    try:
        reporter.stage("Merging the adapter into the model")
        _write(result.part, Path(base.path), adapter, spec.threads)
        reporter.heed()
        result.finish({"made_of": made_of}, _check)
    except BaseException:
        result.discard()
        raise
    return final


def _write(target: Path, base: Path, adapter: Path, threads: int | None) -> None:
    import torch

    from . import device
    from .full_result import saved_dtype
    from .loading import load_model, load_tokenizer
    from .merge import write_merged  # imports peft, which quantizing itself does without

    device.use_threads(threads)
    own = (adapter / "tokenizer.json").is_file()
    tokenizer = load_tokenizer(adapter if own else base)
    dtype = saved_dtype(base)
    write_merged(
        target, base, adapter, lambda: load_model(base, torch.device("cpu"), dtype), tokenizer, tokenizer.chat_template
    )
    copy_companions(base, target)
    if own:
        copy_companions(adapter, target)


def _check(part: Path) -> None:
    facts = model_facts(part)
    if facts.problem:
        raise ModelError(facts.problem, facts.hint)


def _fingerprint(folder: Path) -> str:
    """Headers alone say nothing about values: the time of the last change stands for them."""
    times = [f"{path.name} {path.stat().st_mtime_ns}" for path in sorted(folder.glob("*.safetensors"))]
    return f"{headers_fingerprint(folder)} {' '.join(times)}"
