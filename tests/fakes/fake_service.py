"""Stands where an attached helper process would: answers at once, as told by the test."""

import inspect
import math
import time
from collections.abc import Callable
from typing import Any


class FakeService:
    """Answers `call` by the functions given, each called with the parameters of the call."""

    is_running = True

    def __init__(self, **answers: Callable[..., Any]) -> None:
        self.answers = answers
        self.calls: list[tuple[str, dict[str, Any]]] = []

    def call(
        self,
        method: str,
        timeout_s: float,
        on_progress: Callable[[dict[str, Any]], None] | None = None,
        **params: Any,
    ) -> Any:
        self.calls.append((method, params))
        answer = self.answers[method]
        if "progress" in inspect.signature(answer).parameters:
            params = {**params, "progress": _Progress(on_progress)}
        return answer(**params)

    def cancel(self) -> None:
        """Every call has ended when it returns."""

    def close(self) -> None:
        """Nothing is held."""


class _Progress:
    """What a method tells while it works."""

    def __init__(self, tell: Callable[[dict[str, Any]], None] | None) -> None:
        self._tell = tell

    def __call__(self, done: int, total: int, **more: Any) -> None:
        self.stream(done=done, total=total, **more)

    def stream(self, **piece: Any) -> None:
        if self._tell is not None:
            self._tell(piece)


def laptop_sample(now: float | None = None) -> dict[str, Any]:
    """Return a sample of a laptop with an 8 GB GPU that is training."""
    moment = time.time() if now is None else now
    return {
        "time": moment,
        "cpu": 21 + 9 * math.sin(moment / 3),
        "memory_total": 16 * 2**30,
        "memory_used": int((9.4 + 0.1 * math.sin(moment / 20)) * 2**30),
        "gpus": [
            {
                "index": 0,
                "name": "NVIDIA GeForce RTX 4070 Laptop GPU",
                "memory_total": 8 * 2**30,
                "memory_used": int((6.1 + 0.05 * math.sin(moment / 7)) * 2**30),
                "load": 94 + 4 * math.sin(moment),
                "temperature": 71.0,
                "power": 98.0,
                "power_limit": 115.0,
                "driver": "580.65.06",
                "capability": "8.9",
                "slowed_by": ["its power limit"],
                "processes": [
                    {"pid": 41022, "name": "python", "memory": int(5.2 * 2**30)},
                    {"pid": 2210, "name": "gnome-shell", "memory": 410 * 2**20},
                    {"pid": 3377, "name": "firefox", "memory": None},
                ],
            }
        ],
        "cpu_temperature": 64.0,
        "battery": {"charge": 81.0, "is_plugged": True},
    }


def laptop() -> dict[str, Any]:
    """Return what that laptop is."""
    return {
        "system": "Ubuntu 26.04 LTS, kernel 6.17.0",
        "processor": "AMD Ryzen 7 7840HS",
        "cores": 8,
        "threads": 16,
        "volumes": [
            {"place": "/", "total": 512 * 10**9, "free": 83 * 10**9},
            {"place": "/media/stick", "total": 64 * 10**9, "free": 12 * 10**9},
        ],
        "other_gpus": [{"name": "AMD Radeon 780M", "maker": "AMD", "memory_total": 2 * 2**30}],
        "abilities": [
            {"name": name, "needs": needs, "is_here": is_here, "finding": finding}
            for name, needs, is_here, finding in _ABILITIES
        ],
    }


_ABILITIES = (
    ("Train on the GPU", "an NVIDIA GPU, its driver, PyTorch for CUDA", True, "RTX 4070, driver 580.65.06, CUDA 13"),
    ("bf16 in hardware", "compute capability 8.0 (RTX 30 series or newer)", True, "compute capability 8.9"),
    ("4-bit kernels (NF4, QLoRA)", "bitsandbytes; on a GPU compute capability 6.0", True, "bitsandbytes 0.50.2"),
    ("Several GPUs at once (torchrun)", "two NVIDIA GPUs or more, Linux", False, "1 usable GPU"),
)
