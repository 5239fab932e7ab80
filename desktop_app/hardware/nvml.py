"""Ask the NVIDIA driver about its GPUs through NVML, and say in words what is wrong when it does not tell.

Every call may hang for as long as the driver does; the time limit is the caller's.
"""

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import psutil

from desktop_app.domain.machine import Gpu, GpuProcess

_T = TypeVar("_T")
_RESTART = "Restart the computer."
_REINSTALL = "Restart the computer; if that does not help, install the NVIDIA driver again."
# NVML's return codes: what it means for the user, and what to do.
_SENTENCES = {
    1: ("The monitor of the NVIDIA driver was not started.", "Start Whetstone again."),
    3: ("This GPU does not tell its state.", "Training works all the same; watch it with nvidia-smi."),
    4: ("You may not ask the NVIDIA driver.", "Ask for access to the GPU: on Linux the groups video and render."),
    8: ("The GPU gets too little power.", "Connect the power supply of the laptop or the cable of the card."),
    9: ("The NVIDIA driver is installed but not loaded.", _REINSTALL),
    10: ("The NVIDIA driver took too long to answer.", _RESTART),
    11: ("The NVIDIA driver has trouble with the GPU's interrupts.", _RESTART),
    12: ("An NVIDIA driver is there, but its library NVML is missing.", "Install the NVIDIA driver completely."),
    13: ("The NVIDIA driver is too old to tell about the GPU.", "Install a newer NVIDIA driver."),
    14: ("The GPU's own memory of its settings (infoROM) is damaged.", "Ask the maker of the computer."),
    15: ("The GPU was lost: it no longer answers.", "Switch the computer off and on; check its power and cooling."),
    16: ("The GPU must be reset before it can be used.", _RESTART),
    17: ("The operating system has blocked the question to the GPU.", "Check its rules for access to devices."),
    18: ("The NVIDIA driver was updated while the computer was on; its parts have different versions.", _RESTART),
    20: ("There was not enough memory to ask the NVIDIA driver.", "Close other programs."),
    23: ("The NVIDIA driver has no more resources.", "Close other programs that use the GPU."),
    28: ("The GPU was not found.", "Switch the computer off and on; check its power and cooling."),
    999: ("The NVIDIA driver reports an unknown error.", _REINSTALL),
}
_LIBRARY_NOT_FOUND = 12
# Bits of nvmlDeviceGetCurrentClocksEventReasons that mean a loss; idle clocks and settings of the user are none.
_SLOWED_BY = {
    0x4: "its power limit",
    0x8: "its hardware (heat or power)",
    0x20: "its temperature",
    0x40: "its temperature (set by the hardware)",
    0x80: "the power supply (set by the hardware)",
}
# Errors that concern the GPU as a whole, not one reading that it does not offer.
_SERIOUS = {1, 9, 10, 15, 16, 18, 28, 999}


@dataclass(frozen=True, slots=True)
class GpuReading:
    """The GPUs, or a problem in words; both empty where there is no NVIDIA GPU."""

    gpus: tuple[Gpu, ...] = ()
    problem: str = ""


class Nvml:
    """The connection to the driver. It stays open, because opening it can wake the GPU and take a second."""

    def __init__(self) -> None:
        self._open = False
        self._most_gpus = 0

    def read(self) -> GpuReading:
        """Read all GPUs once; after an error the next call opens the connection again."""
        try:
            import pynvml
        except ImportError:
            return GpuReading(problem=_said(_LIBRARY_NOT_FOUND, "") if driver_is_installed() else "")
        try:
            if not self._open:
                pynvml.nvmlInit()
                self._open = True
            gpus = tuple(_gpu(pynvml, index) for index in range(pynvml.nvmlDeviceGetCount()))
        except pynvml.NVMLError as error:
            self._close(pynvml)
            code = getattr(error, "value", 999)
            if code == _LIBRARY_NOT_FOUND and not driver_is_installed():
                return GpuReading()
            return GpuReading(problem=_said(code, str(error)))
        if not gpus:
            self._close(pynvml)
            return GpuReading(problem=_without_gpus(self._most_gpus))
        self._most_gpus = max(self._most_gpus, len(gpus))
        return GpuReading(gpus=gpus)

    def _close(self, pynvml: Any) -> None:
        if self._open:
            self._open = False
            try:
                pynvml.nvmlShutdown()
            except pynvml.NVMLError:
                pass  # it was broken already; the next reading opens a new connection


def driver_is_installed() -> bool:
    """Whether there is an NVIDIA driver on this computer, working or not."""
    places = [Path("/proc/driver/nvidia/version")]
    if os.name == "nt":
        places.append(Path(os.environ.get("WINDIR", "C:/Windows")) / "System32" / "nvml.dll")
    return shutil.which("nvidia-smi") is not None or any(place.exists() for place in places)


def _gpu(pynvml: Any, index: int) -> Gpu:
    handle = pynvml.nvmlDeviceGetHandleByIndex(index)
    memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
    power_mw = _optional(pynvml, lambda: float(pynvml.nvmlDeviceGetPowerUsage(handle)))
    limit_mw = _optional(pynvml, lambda: float(pynvml.nvmlDeviceGetEnforcedPowerLimit(handle)))
    capability = _optional(pynvml, lambda: pynvml.nvmlDeviceGetCudaComputeCapability(handle))
    reasons = _optional(pynvml, lambda: int(pynvml.nvmlDeviceGetCurrentClocksEventReasons(handle))) or 0
    return Gpu(
        index=index,
        name=_text(pynvml.nvmlDeviceGetName(handle)),
        memory_total=int(memory.total),
        memory_used=int(memory.used),
        load=_optional(pynvml, lambda: float(pynvml.nvmlDeviceGetUtilizationRates(handle).gpu)),
        temperature=_optional(
            pynvml, lambda: float(pynvml.nvmlDeviceGetTemperature(handle, pynvml.NVML_TEMPERATURE_GPU))
        ),
        power=None if power_mw is None else power_mw / 1000,
        power_limit=None if limit_mw is None else limit_mw / 1000,
        driver=_text(pynvml.nvmlSystemGetDriverVersion()),
        capability="" if capability is None else f"{capability[0]}.{capability[1]}",
        slowed_by=tuple(words for bit, words in _SLOWED_BY.items() if reasons & bit),
        processes=_processes(pynvml, handle),
    )


def _processes(pynvml: Any, handle: Any) -> tuple[GpuProcess, ...]:
    """List who holds memory, for computing or for drawing, the largest first; a program that does both counts once."""
    found: dict[int, GpuProcess] = {}
    for ask in ("nvmlDeviceGetComputeRunningProcesses", "nvmlDeviceGetGraphicsRunningProcesses"):
        for one in _optional(pynvml, lambda ask=ask: list(getattr(pynvml, ask)(handle))) or ():  # type: ignore[misc]
            memory = one.usedGpuMemory
            found[one.pid] = GpuProcess(
                pid=one.pid, name=_name_of(one.pid), memory=None if memory is None else int(memory)
            )
    return tuple(sorted(found.values(), key=lambda one: (-(one.memory or 0), one.pid)))


def _name_of(pid: int) -> str:
    try:
        return str(psutil.Process(pid).name())
    except psutil.Error:
        return ""  # of another user or another container, or it has ended


def _optional(pynvml: Any, reading: Callable[[], _T]) -> _T | None:
    """Take a reading that not every GPU offers."""
    try:
        return reading()
    except AttributeError:  # a binding older than the question
        return None
    except pynvml.NVMLError as error:
        if getattr(error, "value", 999) in _SERIOUS:
            raise
        return None


def _text(value: str | bytes) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def _said(code: int, own_words: str) -> str:
    if code in _SENTENCES:
        sentence, step = _SENTENCES[code]
        return f"{sentence} {step}"
    return f"The NVIDIA driver reports error {code} ({own_words}). {_REINSTALL}"


def _without_gpus(before: int) -> str:
    if before:
        return f"The GPU has disappeared; there {'was one' if before == 1 else f'were {before}'} before. {_RESTART}"
    return f"An NVIDIA driver is there, but it finds no GPU. {_REINSTALL}"
