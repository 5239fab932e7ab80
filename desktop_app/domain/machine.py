"""What this computer has and how busy it is."""

from .value import Value


class Gpu(Value):
    """One GPU. Memory in bytes, load 0 to 100 %, temperature in °C, power in W; None where it is not told."""

    index: int
    name: str
    memory_total: int
    memory_used: int
    load: float | None = None
    temperature: float | None = None
    power: float | None = None
    driver: str = ""


class MachineSample(Value):
    """One look at the computer. `time` is Unix seconds, `cpu` 0 to 100 % of all cores, memory in bytes.

    `gpu_problem` says in words why no GPU is told or why it stays unused, '' if there simply is none.
    `process_memory` is what the process that wrote the sample holds itself, None where that is nobody's question.
    """

    time: float
    cpu: float
    memory_total: int
    memory_used: int
    gpus: tuple[Gpu, ...] = ()
    gpu_problem: str = ""
    process_memory: int | None = None
