"""One look at the computer: processor, memory, GPUs, battery.

NVML is asked in a thread of its own, because a broken driver can hang for minutes: the caller waits once for
a moment, and never again while that question is still open.
"""

import threading
import time

import psutil

from desktop_app.domain.machine import Battery, Gpu, MachineSample

from .cuda_state import torch_cannot_use_gpu
from .nvml import GpuReading, Nvml

GPU_LIMIT_S = 1.5
_HANGS = (
    "The NVIDIA driver has not answered for {seconds:.0f} s. "
    "Processor and memory are still shown; if it stays so, restart the computer."
)


def machine_sample() -> MachineSample:
    """Look at the computer; takes at most about 1.5 s, normally a few milliseconds.

    The processor's load is the mean since the call before, the first time over a tenth of a second.
    """
    memory = psutil.virtual_memory()
    reading = _GPUS.read(GPU_LIMIT_S)
    sample = MachineSample(
        time=time.time(),
        cpu=_CPU.load(),
        memory_total=memory.total,
        memory_used=memory.total - memory.available,
        gpus=reading.gpus,
        gpu_problem=reading.problem,
        cpu_temperature=_cpu_temperature(),
        battery=battery(),
    )
    unused = torch_cannot_use_gpu(sample)
    return sample.model_copy(update={"gpu_problem": unused}) if unused else sample


def gpus() -> tuple[Gpu, ...]:
    """Look at the GPUs alone; with the same limit of time."""
    return _GPUS.read(GPU_LIMIT_S).gpus


def battery() -> Battery | None:
    """Ask the battery; None where there is none or the system does not tell."""
    try:
        found = psutil.sensors_battery()
    except (AttributeError, OSError, ValueError, RuntimeError):  # not on this system, or an odd driver
        return None
    if found is None:
        return None
    # A charger that is not told (None) counts as plugged in: a rule must not stop a job on a guess.
    left_s = int(found.secsleft) if not found.power_plugged and found.secsleft > 0 else None
    return Battery(charge=min(100.0, found.percent), is_plugged=found.power_plugged is not False, left_s=left_s)


class GpuSensor:
    """NVML behind a time limit; safe to use from several threads."""

    def __init__(self) -> None:
        self._nvml = Nvml()
        self._lock = threading.Lock()
        self._asked = 0.0
        self._thread: threading.Thread | None = None
        self._answer = GpuReading()

    def read(self, limit_s: float) -> GpuReading:
        """Read the GPUs, or say for how long the driver has not answered."""
        with self._lock:
            if self._thread is None:
                self._asked = time.monotonic()
                self._thread = threading.Thread(target=self._ask, name="nvml", daemon=True)
                self._thread.start()
            waited = time.monotonic() - self._asked
            self._thread.join(max(0.0, limit_s - waited))
            if self._thread.is_alive():
                return GpuReading(problem=_HANGS.format(seconds=max(1.0, time.monotonic() - self._asked)))
            self._thread = None
            return self._answer

    def _ask(self) -> None:
        try:
            self._answer = self._nvml.read()
        except Exception as error:  # noqa: BLE001 - a foreign binding; processor and memory must be shown all the same
            self._answer = GpuReading(problem=f"The NVIDIA driver cannot be asked ({type(error).__name__}: {error}).")


class _CpuSensor:
    def __init__(self) -> None:
        self._is_primed = False

    def load(self) -> float:
        interval = None if self._is_primed else 0.1
        self._is_primed = True
        percent: float = psutil.cpu_percent(interval=interval)
        return min(100.0, max(0.0, percent))


def _cpu_temperature() -> float | None:
    """Return the processor's hottest sensor in °C, None where the system does not tell."""
    try:
        chips = psutil.sensors_temperatures()
    except (AttributeError, OSError, ValueError):
        return None
    readings = [each.current for chip in _CPU_CHIPS for each in chips.get(chip, ()) if each.current]
    return max(readings, default=None)


_CPU_CHIPS = ("coretemp", "k10temp", "zenpower", "cpu_thermal", "acpitz")
_GPUS = GpuSensor()
_CPU = _CpuSensor()
