"""What was expected of a job when it was handed in, kept with it to be set beside what it took."""

from .value import Value


class Estimate(Value):
    """Seconds of a job's work, between `least_s` and `most_s`; `source` is where its rate came from.

    All three are None for a training whose tokens nobody had counted yet: it has its rate alone, `tokens_per_s`.
    `work_bytes` is what a job that moves, rewrites or measures models goes through; a training has none.
    """

    seconds: float | None = None
    least_s: float | None = None
    most_s: float | None = None
    tokens_per_s: float | None = None
    work_bytes: int | None = None
    source: str
