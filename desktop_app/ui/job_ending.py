"""How a job ended, in words for a notification."""

from desktop_app.domain.job import Job, JobState

from .wording import duration_text, number_text

_VERBS = {
    JobState.SUCCEEDED: "is done",
    JobState.FAILED: "has failed",
    JobState.CANCELLED: "was cancelled",
    JobState.INTERRUPTED: "was interrupted",
}


def ending(job: Job) -> tuple[str, str]:
    """Return a title and a line below it: ('support-qwen-r16 is done', 'Took 46 min, loss 1.198')."""
    title = f"{job.name} {_VERBS.get(job.state, job.state.value)}"
    if job.state is JobState.FAILED:
        return title, job.message
    parts = []
    if job.duration_s is not None:
        parts.append(f"took {duration_text(job.duration_s)}")
    if job.loss is not None and job.state is JobState.SUCCEEDED:
        parts.append(f"loss {number_text(job.loss)}")
    return title, ", ".join(parts).capitalize()
