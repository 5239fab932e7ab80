"""What the log says of an event: one line with the time, for whoever watches or reads it later.

The events themselves stand in `events.jsonl`; this is for people.
"""

from datetime import datetime

from desktop_app.domain.event import (
    AnyEvent,
    Cancelled,
    Checkpoint,
    Failed,
    Metric,
    Notice,
    Paused,
    Resumed,
    Stage,
    Succeeded,
)

_SHORT = {"learning_rate": "lr", "grad_norm": "gradient", "eval_loss": "held-out loss", "tokens_per_s": "tokens/s"}


def console_line(event: AnyEvent) -> str:
    """Say an event in one line; '' for kinds that the log leaves out."""
    text = _text(event)
    return f"{datetime.fromtimestamp(event.time):%H:%M:%S}  {text}" if text else ""


def _text(event: AnyEvent) -> str:
    match event:
        case Stage() | Notice():
            return event.text
        case Metric():
            values = "  ".join(f"{_SHORT.get(name, name)} {value:.4g}" for name, value in event.values.items())
            return f"step {event.step:>5}  {values}"
        case Checkpoint():
            return f"step {event.step:>5}  checkpoint saved"
        case Paused():
            return f"step {event.step:>5}  paused"
        case Resumed():
            return f"step {event.step:>5}  goes on"
        case Succeeded():
            return f"Done. The result is in {event.result}"
        case Failed():
            return f"{event.message} {event.hint}".strip()
        case Cancelled():
            return "Cancelled."
    return ""
