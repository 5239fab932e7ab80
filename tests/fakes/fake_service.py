"""Stands where an attached helper process would: answers at once, as told by the test."""

import inspect
import math
import time
from collections.abc import Callable
from typing import Any


class FakeService:
    """Answers `call` by the functions given, each called with the parameters of the call."""

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

            def progress(done: int, total: int, **more: Any) -> None:
                if on_progress is not None:
                    on_progress({"done": done, "total": total, **more})

            params = {**params, "progress": progress}
        return answer(**params)

    def cancel(self) -> None:
        """Every call has ended when it returns."""

    def close(self) -> None:
        """Nothing is held."""


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
            }
        ],
    }
