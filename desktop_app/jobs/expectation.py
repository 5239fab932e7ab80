"""How long a job is expected to take, said when it is handed in, whoever hands it in.

By headers, sizes and earlier jobs alone: the rows of a training are not read for it. Where no earlier training tells
how many they are, it has a rate, and its worker knows the rest. What cannot be expected is no reason to refuse a job.
"""

from pathlib import Path

from desktop_app import paths
from desktop_app.domain.bundle_spec import BundleSpec, OpenBundleSpec
from desktop_app.domain.download_spec import DownloadSpec
from desktop_app.domain.estimate import Estimate
from desktop_app.domain.finetune_spec import FinetuneSpec
from desktop_app.domain.job import subject_of
from desktop_app.domain.machine import MachineSample
from desktop_app.domain.model_facts import ModelFacts
from desktop_app.domain.spec import AnySpec
from desktop_app.errors import AppError
from desktop_app.hardware.sensors import gpus
from desktop_app.library.model_folder import listed_facts
from desktop_app.memory_plan.duration import training_rate
from desktop_app.memory_plan.job_plan import Known, job_time
from desktop_app.memory_plan.work_size import adapter_base, facts_of_size, work_bytes
from desktop_app.storage.index import Index

_MOST_JOBS = 500


def expectation(spec: AnySpec) -> Estimate | None:
    """Return what to expect of a job whose paths are absolute and were checked; None where nobody can say."""
    if isinstance(spec, FinetuneSpec) and spec.checkpoint is not None:
        return None
    try:
        jobs = Index(paths.index_file()).newest(_MOST_JOBS)
        sample = MachineSample(time=0, cpu=0, memory_total=0, memory_used=0, gpus=gpus())
        facts, size = _facts(spec)
        time = job_time(spec, facts, Known(sample=sample, jobs=jobs, work_bytes=size))
        if time is None and isinstance(spec, FinetuneSpec) and (rate := training_rate(spec, facts, sample, jobs)):
            return Estimate(tokens_per_s=rate.tokens_per_s, source=rate.source)
    except (AppError, OSError):
        return None
    return None if time is None else time.estimate


def _facts(spec: AnySpec) -> tuple[ModelFacts, int]:
    """Facts of the model that a job computes with, and how many bytes it goes through."""
    if isinstance(spec, BundleSpec | OpenBundleSpec | DownloadSpec):
        size = work_bytes(spec)
        return facts_of_size(subject_of(spec), size), size
    facts = listed_facts(Path(spec.model))
    size = work_bytes(spec, facts)
    base = adapter_base(spec, facts)
    return (listed_facts(Path(base)) if base else facts), size
