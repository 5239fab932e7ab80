"""How long a job that moves or rewrites a model will take, as its dialog says it beside the room it needs."""

from collections.abc import Sequence

from desktop_app.domain.job import Job
from desktop_app.domain.spec import AnySpec
from desktop_app.memory_plan.duration import Duration
from desktop_app.memory_plan.work_duration import work_duration

from .wording import duration_text


def work_time_text(spec: AnySpec, work_bytes: int, jobs: Sequence[Job]) -> str:
    """Say the expected time of a job that goes through so many bytes; '' where nobody can say."""
    found = work_duration(spec, work_bytes, jobs)
    return "" if found is None else f"about {duration_text(found.seconds)} ({span_text(found)})"


def span_text(time: Duration) -> str:
    """Say between what and what a time lies, and on what it rests."""
    return f"{duration_text(time.least_s)} to {duration_text(time.most_s)}, {time.words}"
