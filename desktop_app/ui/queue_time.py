"""When a job that is handed in now will start, by what was expected of those before it. Draws nothing."""

from collections.abc import Sequence

from desktop_app.domain.job import KINDS_THAT_GO_ON, Job


def waiting_s(active: Job | None, queued: Sequence[Job]) -> tuple[float, int]:
    """Return the seconds until a job that is handed in now starts, and how many jobs before it nobody can time."""
    before = [job for job in (active, *queued) if job is not None and job.kind not in KINDS_THAT_GO_ON]
    return sum(job.eta_s or 0.0 for job in before), sum(job.eta_s is None for job in before)
