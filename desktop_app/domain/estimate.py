"""What was expected of a training when it was started, kept with it to be set beside what it took."""

from .value import Value


class Estimate(Value):
    """Seconds of all steps, between `least_s` and `most_s`, at a rate; `source` is where the rate came from."""

    seconds: float
    least_s: float
    most_s: float
    tokens_per_s: float
    source: str
