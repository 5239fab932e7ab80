"""The service that looks at the computer: processor, memory, GPUs."""

from collections.abc import Callable
from typing import Any

from desktop_app.hardware.sensors import machine_sample


def sample() -> dict[str, Any]:
    """Look at the computer once; the answer is a MachineSample."""
    return machine_sample().model_dump(mode="json")


METHODS: dict[str, Callable[..., Any]] = {"sample": sample}
