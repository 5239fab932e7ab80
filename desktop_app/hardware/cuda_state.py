"""Whether the torch that came with this program can use the GPU of this computer.

Decided by the metadata of the installed package alone; torch itself is never imported here.
"""

import functools
import re
import sys
from importlib import metadata

from desktop_app.domain.machine import MachineSample

# The oldest driver for each CUDA generation (CUDA compatibility guide, minor version compatibility): Linux, Windows.
_OLDEST_DRIVER = {11: (450, 452), 12: (525, 528), 13: (580, 580)}


def torch_cannot_use_gpu(sample: MachineSample) -> str:
    """Say why the GPU stays unused although there is one; '' if it can be used, or there is none."""
    if not sample.gpus:
        return ""
    gpu = sample.gpus[0]
    cuda = cuda_generation()
    if cuda is None:
        return (
            f"There is a GPU ({gpu.name}), but this copy of Whetstone came with a torch for processors only "
            f"({_version() or 'not installed'}), so it computes on the CPU. Install the CUDA version to use the GPU."
        )
    oldest = _OLDEST_DRIVER.get(cuda, _OLDEST_DRIVER[13])[1 if sys.platform == "win32" else 0]
    driver = re.match(r"\d+", gpu.driver)
    if driver and int(driver.group()) < oldest:
        return (
            f"There is a GPU ({gpu.name}), but its driver {gpu.driver} is too old for CUDA {cuda}, so Whetstone "
            f"computes on the CPU. Install an NVIDIA driver of version {oldest} or newer."
        )
    return ""


def cuda_generation() -> int | None:
    """Return the CUDA generation (12, 13, …) that the installed torch was built for; None for a CPU build."""
    version = _version()
    local = re.search(r"\+cu(\d{2})\d*", version)
    if local:
        return int(local.group(1))
    if not version or "+" in version:  # '+cpu', '+rocm6.4', '+xpu'
        return None
    # On the general index only the Linux wheels contain CUDA; they depend on NVIDIA's packages.
    found = re.search(r"nvidia-cublas-cu(\d{2})|nvidia-cublas\b|cuda-toolkit\b|cuda-bindings\b", _requirements())
    if sys.platform != "linux" or not found:
        return None
    return int(found.group(1)) if found.group(1) else 13


@functools.cache
def _version() -> str:
    try:
        return metadata.version("torch")
    except metadata.PackageNotFoundError:
        return ""


@functools.cache
def _requirements() -> str:
    return " ".join(metadata.requires("torch") or ())
