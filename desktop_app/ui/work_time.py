"""How long a job will take, as its dialog says it beside the room it needs."""

from desktop_app.domain.finetune_spec import FinetuneSpec
from desktop_app.domain.quantize_spec import QuantizeSpec
from desktop_app.memory_plan.duration import Duration
from desktop_app.memory_plan.job_plan import Known, job_time

from .window_state import WindowState
from .wording import duration_text


def time_text(time: Duration) -> str:
    """Say about how long it takes, between what and what, and on what that rests."""
    return f"about {duration_text(time.seconds)} ({span_text(time)})"


def span_text(time: Duration) -> str:
    """Say between what and what a time lies, and on what it rests."""
    least, most = duration_text(time.least_s), duration_text(time.most_s)
    return time.words if least == most else f"{least} to {most}, {time.words}"


def time_again(state: WindowState, spec: FinetuneSpec | QuantizeSpec) -> Duration | None:
    """Expect the time of a job like one that was there before, by what the window knows; None where that is too little.

    An adapter that is quantized with its base is not timed: only its own size is at hand.
    """
    state.models.need(spec.model)
    facts = state.models.facts.get(spec.model)
    if facts is None or facts.problem or facts.kind == "adapter" or not state.machine:
        return None
    return job_time(spec, facts, Known(sample=state.machine[-1], jobs=state.jobs, work_bytes=facts.size_bytes))
