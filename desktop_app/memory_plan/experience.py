"""What earlier runs on this computer say about the plan: how much more, or less, they took than was planned."""

from collections.abc import Sequence
from statistics import median

from desktop_app.domain.finetune_spec import FinetuneSpec
from desktop_app.domain.job import Job, JobState

from .processes import OTHERS

# A run measures its first process; on a GPU what PyTorch allocated, without the context and the gaps between blocks.
NOT_MEASURED = ("CUDA context", "Fragmentation", OTHERS)
_MOST_RUNS = 10
_FEWEST_OTHERS = 3
# A correction beyond this is no correction: the plan counted something else than what ran.
_LEAST, _MOST = 0.9, 1.5
_SLOWEST, _FASTEST = 0.4, 2.5
_FEWEST_STEPS = 20


def correction(spec: FinetuneSpec, jobs: Sequence[Job]) -> float:
    """Return how much more memory such runs took than planned: of this model, else of at least three others.

    `jobs` are this computer's, newest first. Of several runs the median counts.
    """
    wanted = spec.device
    known = [(job, ratio) for job in jobs if (ratio := measured_share(job)) and job.spec.get("device") == wanted]
    same = [
        ratio for job, ratio in known if job.spec.get("model") == spec.model and job.spec.get("method") == spec.method
    ][:_MOST_RUNS]
    found = same or ([ratio for _, ratio in known][:_MOST_RUNS] if len(known) >= _FEWEST_OTHERS else [])
    return min(_MOST, max(_LEAST, median(found))) if found else 1.0


def rate_correction(source: str, jobs: Sequence[Job]) -> float:
    """Return by how much faster trainings were than estimates from this source said; 1 where none was kept."""
    found = [share for job in jobs if (share := _rate_share(job, source))][:_MOST_RUNS]
    return min(_FASTEST, max(_SLOWEST, median(found))) if found else 1.0


def is_whole(job: Job) -> bool:
    """Whether a training made all its steps in one go: else it may not have met its longest rows."""
    steps, planned = job.summary.get("steps"), job.summary.get("planned_steps")
    return not job.summary.get("first_step") and (planned is None or steps is None or steps >= planned)


def tells_a_rate(job: Job) -> bool:
    """Whether a training ran long enough for its rate to be more than that of its first, slow steps."""
    steps, first = job.summary.get("steps"), job.summary.get("first_step") or 0
    return job.state is JobState.SUCCEEDED and (is_whole(job) or steps is None or steps - first >= _FEWEST_STEPS)


def _rate_share(job: Job, source: str) -> float:
    planned, measured = job.summary.get("planned_tokens_per_s"), job.summary.get("tokens_per_s")
    if job.summary.get("planned_by") != source or not tells_a_rate(job):
        return 0.0
    if not isinstance(planned, int | float) or not isinstance(measured, int | float) or planned <= 0:
        return 0.0
    return max(0.0, measured / planned)


def measured_share(job: Job) -> float:
    """Return what a training took as a share of what was planned for it; 0 where one of both is not known."""
    planned, measured = job.summary.get("planned_bytes"), job.summary.get("peak_bytes")
    if job.kind != "finetune" or job.state is not JobState.SUCCEEDED or not is_whole(job):
        return 0.0
    if not isinstance(planned, int | float) or not isinstance(measured, int | float) or planned <= 0:
        return 0.0
    return measured / planned
