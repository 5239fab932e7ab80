"""How long a job is expected to take, said when it is handed in, whoever hands it in.

By headers, sizes and earlier jobs alone: the rows of a training are not read for it, so it has a rate, and its worker
knows the rest. What cannot be expected is no reason to refuse a job.
"""

from pathlib import Path

from desktop_app import paths
from desktop_app.domain.estimate import Estimate
from desktop_app.domain.finetune_spec import FinetuneSpec
from desktop_app.domain.machine import MachineSample
from desktop_app.domain.spec import AnySpec
from desktop_app.errors import AppError
from desktop_app.hardware.sensors import gpus
from desktop_app.library.model_folder import listed_facts
from desktop_app.memory_plan.duration import training_rate
from desktop_app.memory_plan.work_duration import work_duration
from desktop_app.memory_plan.work_size import work_bytes
from desktop_app.storage.index import Index

_MOST_JOBS = 500


def expectation(spec: AnySpec) -> Estimate | None:
    """Return what to expect of a job whose paths are absolute and were checked; None where nobody can say."""
    try:
        jobs = Index(paths.index_file()).newest(_MOST_JOBS)
        if not isinstance(spec, FinetuneSpec):
            found = work_duration(spec, work_bytes(spec), jobs)
            return None if found is None else found.estimate
        sample = MachineSample(time=0, cpu=0, memory_total=0, memory_used=0, gpus=gpus())
        rate = training_rate(spec, listed_facts(Path(spec.model)), sample, jobs)
    except (AppError, OSError):
        return None
    if rate is None or spec.checkpoint is not None:
        return None
    return Estimate(tokens_per_s=rate.tokens_per_s, source=rate.source)
