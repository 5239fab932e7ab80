"""The service that looks at the computer: processor, memory, GPUs, disks."""

from collections.abc import Callable
from typing import Any

from desktop_app.hardware.inventory import machine as inventory
from desktop_app.hardware.sensors import machine_sample
from desktop_app.paths import data_dir


def sample() -> dict[str, Any]:
    """Look at the computer once; the answer is a MachineSample."""
    return machine_sample().model_dump(mode="json")


def machine() -> dict[str, Any]:
    """Say what this computer is; the answer is a Machine."""
    return inventory(machine_sample(), [data_dir()]).model_dump(mode="json")


METHODS: dict[str, Callable[..., Any]] = {"sample": sample, "machine": machine}
