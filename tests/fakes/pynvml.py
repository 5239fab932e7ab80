"""Stand in for NVIDIA's binding `pynvml`: healthy, in error, or hanging, as FAKE_NVML says.

FAKE_NVML is '' (one healthy GPU), a return code of NVML, 'hang' (never answers), 'none' (no GPU left), or '@FILE':
what stands in that file, so that it can change while a process runs.
A test puts this folder on PYTHONPATH, or the module into `sys.modules`.
"""

import os
import time
from pathlib import Path
from types import SimpleNamespace

NVML_TEMPERATURE_GPU = 0


class NVMLError(Exception):
    """An error by its return code, as in the real binding."""

    def __init__(self, value: int) -> None:
        super().__init__(f"code {value}")
        self.value = value


def _mood() -> str:
    mood = os.environ.get("FAKE_NVML", "")
    return Path(mood[1:]).read_text() if mood.startswith("@") else mood


def _check() -> None:
    mood = _mood()
    if mood == "hang":
        time.sleep(600)
    if mood.isdigit():
        raise NVMLError(int(mood))


def nvmlInit() -> None:
    _check()


def nvmlShutdown() -> None:
    pass


def nvmlDeviceGetCount() -> int:
    _check()
    return 0 if _mood() == "none" else 1


def nvmlDeviceGetHandleByIndex(index: int) -> int:
    return index


def nvmlDeviceGetMemoryInfo(handle: int) -> SimpleNamespace:
    return SimpleNamespace(total=8 * 2**30, used=2**30, free=7 * 2**30)


def nvmlDeviceGetName(handle: int) -> str:
    return "Fake RTX"


def nvmlSystemGetDriverVersion() -> str:
    return "580.65.06"


def nvmlDeviceGetUtilizationRates(handle: int) -> SimpleNamespace:
    return SimpleNamespace(gpu=42, memory=7)


def nvmlDeviceGetTemperature(handle: int, kind: int) -> int:
    return 61


def nvmlDeviceGetPowerUsage(handle: int) -> int:
    raise NVMLError(3)  # not supported: usual on laptops


def nvmlDeviceGetEnforcedPowerLimit(handle: int) -> int:
    return 115_000


def nvmlDeviceGetCudaComputeCapability(handle: int) -> tuple[int, int]:
    return 8, 9


def nvmlDeviceGetCurrentClocksEventReasons(handle: int) -> int:
    return int(os.environ.get("FAKE_NVML_REASONS", "1"))  # 1: idle, which is no loss


def nvmlDeviceGetComputeRunningProcesses(handle: int) -> list[SimpleNamespace]:
    return [
        SimpleNamespace(pid=os.getpid(), usedGpuMemory=3 * 2**30),
        SimpleNamespace(pid=2**22 + 1, usedGpuMemory=None),
    ]


def nvmlDeviceGetGraphicsRunningProcesses(handle: int) -> list[SimpleNamespace]:
    return [SimpleNamespace(pid=os.getpid(), usedGpuMemory=3 * 2**30)]
