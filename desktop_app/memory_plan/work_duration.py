"""How long a job takes that moves, rewrites or measures models: a start, and bytes over a rate, with an interval.

The rates are stated guesses for a laptop with an SSD. What such jobs took here corrects them: first those of the same
kind, better those that do the very same. Arithmetic alone: who asks brings the bytes and the jobs.
"""

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from desktop_app.domain.job import Job, JobState
from desktop_app.domain.quantize_method import METHODS, reads_text
from desktop_app.domain.spec import AnySpec

from .duration import Duration, RateSource, ran_on_gpu, words_of
from .evaluation_guess import evaluation_guess_s, tokens_of_each

_START_S = {"quantize": 10.0, "convert": 10.0, "export": 15.0}  # most of it the import of PyTorch
_OTHER_START_S = 1.0
# Bytes of the model, or of what is packed, per second. Whatever is copied is written, synced and read back.
_COPYING = {"download": 5e6, "bring_in": 150e6, "bundle": 150e6, "open_bundle": 120e6, "convert": 80e6}
_EXPORT = {"gguf": 15e6, "whole": 40e6}
_OTHER_EXPORT = 60e6
_QUANTIZE = {"bitsandbytes": 60e6, "torchao": 60e6, "gptq": 0.4e6, "awq": 0.05e6, "onnx": 10e6, "gguf": 60e6}
_K_QUANTS = 15e6  # whose scales are searched for
_SPREAD: dict[RateSource, float] = {"guess": 3.0, "similar": 2.0, "history": 1.25}
_MOST_RUNS = 8


def work_duration(spec: AnySpec, work_bytes: int, jobs: Sequence[Job] = (), is_gpu: bool = False) -> Duration | None:
    """Expect the time of a job that goes through so many bytes; `jobs` are this computer's, newest first.

    `is_gpu`: whether it computes on a GPU. None for a training, whose time does not follow from bytes.
    """
    settings = spec.model_dump(mode="json")
    if spec.kind == "finetune" or work_bytes <= 0:
        return None
    told = [(job, share) for job in jobs if job.kind == spec.kind and (share := _share(job))]
    same = [share for job, share in told if _what(job.spec) == _what(settings)][:_MOST_RUNS]
    found = same or [share for _, share in told][:_MOST_RUNS]
    source: RateSource = "history" if same else "similar" if found else "guess"
    factor = median(found) if found else 1.0
    apart = max((max(each / factor, factor / each) for each in found), default=1.0)
    least = _SPREAD[source] if len(found) != 1 else _SPREAD["similar"]  # one says nothing of how they vary
    spread = min(_SPREAD["guess"], max(least, apart))
    seconds = factor * _guess_s(settings, work_bytes, is_gpu)
    words = "and the start" if not found else f"and the start, × {factor:.2f}"
    if spec.kind == "evaluate":
        words = "for each model at most {:,} tokens read and {:,} written, ".format(*tokens_of_each(settings)) + words
    return Duration(
        seconds=seconds,
        least_s=seconds / spread,
        most_s=seconds * spread,
        source=source,
        formula=f"{work_bytes:,} bytes over a rate, {words}: {words_of(source, is_training=False)}",
        work_bytes=work_bytes,
    )


def _share(job: Job) -> float:
    """What a job took as a share of the guess for it; 0 where one of both is not known."""
    took, work_bytes = job.summary.get("seconds"), job.summary.get("work_bytes")
    if job.state is not JobState.SUCCEEDED or not isinstance(work_bytes, int) or work_bytes <= 0:
        return 0.0
    return took / _guess_s(job.spec, work_bytes, ran_on_gpu(job)) if isinstance(took, int | float) else 0.0


def _guess_s(settings: Mapping[str, Any], work_bytes: int, is_gpu: bool) -> float:
    if settings["kind"] == "evaluate":
        return evaluation_guess_s(settings, work_bytes, is_gpu)
    rates = _rates(settings)
    return _START_S.get(settings["kind"], _OTHER_START_S) + sum(work_bytes / rate for rate in rates)


def _rates(settings: Mapping[str, Any]) -> list[float]:
    """One rate for each time that the bytes are gone through."""
    kind = settings["kind"]
    if kind == "quantize":
        return [_quantize_rate(method) for method in (settings.get("method"), *settings.get("further_methods", ()))]
    if kind == "export":
        return [_EXPORT.get(str(settings.get("form")), _OTHER_EXPORT)]
    return [_COPYING[kind]]


def _quantize_rate(method: Any) -> float:
    if method not in METHODS:
        return _OTHER_EXPORT
    return _K_QUANTS if "_k" in method else _QUANTIZE[METHODS[method].family]


def _what(settings: Mapping[str, Any]) -> tuple[Any, ...]:
    """What decides the rate: jobs with the same do the same to each byte."""
    if settings["kind"] == "quantize":
        methods = (settings.get("method"), *settings.get("further_methods", ()))
        text = settings.get("importance_matrix") or (any(map(reads_text, methods)) and settings.get("calibration_data"))
        return (*methods, bool(text), settings.get("device"))
    if settings["kind"] == "export":
        form = settings.get("form")
        return (form, settings.get("gguf_type") if form == "gguf" else None, settings.get("device"))
    if settings["kind"] == "evaluate":
        texts = (settings.get("data"), bool(settings.get("held_out_of")), bool(settings.get("questions")))
        return (settings.get("model"), *texts, settings.get("device"))
    return (bool(settings.get("as_zip")), bool(settings.get("move")))
