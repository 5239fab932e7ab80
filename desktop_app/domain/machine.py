"""What this computer has and how busy it is."""

from .value import Value


class GpuProcess(Value):
    """A program that holds memory of a GPU; `memory` in bytes, None where the driver keeps it to itself (Windows)."""

    pid: int
    name: str = ""
    memory: int | None = None


class Gpu(Value):
    """One NVIDIA GPU. Memory in bytes, load 0 to 100 %, temperature in °C, power in W; None where it is not told.

    `slowed_by` says in words why it runs slower than it could now; `capability` is CUDA's compute capability, as '8.9'.
    """

    index: int
    name: str
    memory_total: int
    memory_used: int
    load: float | None = None
    temperature: float | None = None
    power: float | None = None
    power_limit: float | None = None
    driver: str = ""
    capability: str = ""
    slowed_by: tuple[str, ...] = ()
    processes: tuple[GpuProcess, ...] = ()


class Battery(Value):
    """The battery: charge 0 to 100 %, whether the charger is plugged in, seconds left on it if the system tells."""

    charge: float
    is_plugged: bool
    left_s: int | None = None


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
    cpu_temperature: float | None = None
    battery: Battery | None = None


class OtherGpu(Value):
    """A GPU that is not NVIDIA's; memory in bytes where the system tells it. `shares_memory`: it uses the RAM."""

    name: str
    maker: str
    memory_total: int | None = None
    shares_memory: bool = False


class Volume(Value):
    """A disk as the user knows it: where it is mounted, and its bytes."""

    place: str
    total: int
    free: int


class Ability(Value):
    """Something this program can do with the right machine: what it needs, and whether that is here."""

    name: str
    needs: str
    is_here: bool
    finding: str


class Machine(Value):
    """What this computer is, beyond what changes from second to second."""

    system: str
    processor: str
    cores: int
    threads: int
    volumes: tuple[Volume, ...] = ()
    other_gpus: tuple[OtherGpu, ...] = ()
    abilities: tuple[Ability, ...] = ()
