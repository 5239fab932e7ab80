"""Which device and number format a job computes in, and how much memory it took."""

import os
import platform

import psutil
import torch

from desktop_app.domain.finetune_spec import Device, Precision
from desktop_app.errors import HardwareError, SpecError

_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def chosen_device(wanted: Device, place: int = 0) -> torch.device:
    """Return the device to compute on; 'auto' is the GPU if torch can use one.

    `place`: which of several processes asks, each of which takes a GPU of its own.

    Raises:
        HardwareError: a GPU is asked for and none can be used, or there are fewer GPUs than processes.
    """
    has_gpu = torch.cuda.is_available()
    if wanted == "cuda" and not has_gpu:
        raise HardwareError(
            "A GPU is asked for, but PyTorch finds none that it can use.",
            "Update the NVIDIA driver, or choose the device 'cpu'.",
        )
    if wanted == "cpu" or not has_gpu:
        return torch.device("cpu")
    if place >= torch.cuda.device_count():
        raise HardwareError(
            f"Process {place + 1} finds no GPU of its own: there are {torch.cuda.device_count()}.",
            "Choose at most as many processes as there are GPUs.",
        )
    torch.cuda.set_device(place)
    return torch.device("cuda", place)


def chosen_dtype(precision: Precision, device: torch.device) -> torch.dtype:
    """Return the number format of weights that are not quantized: on a GPU 16 bits, on the CPU fp32, unless said.

    Raises:
        SpecError: fp16 on the CPU, which has no effect there.
    """
    if precision != "auto":
        if device.type == "cpu" and precision == "fp16":
            raise SpecError("precision: fp16 has no effect on the CPU.", "Use fp32 or bf16.", "precision")
        return _DTYPES[precision]
    if device.type == "cpu":
        return torch.float32
    return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16


def use_threads(threads: int | None) -> None:
    """Compute with this many threads; None leaves what the environment of the process says."""
    if threads is not None:
        torch.set_num_threads(threads)


def device_name(device: torch.device) -> str:
    """Name the device as a person would."""
    if device.type == "cuda":
        return str(torch.cuda.get_device_name(device))
    threads = torch.get_num_threads()
    return f"CPU ({threads} {'thread' if threads == 1 else 'threads'})"


def peak_memory_bytes(device: torch.device) -> int:
    """Return the most memory in use so far: torch's on a GPU, this process's on the CPU."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    if os.name == "nt":
        return int(psutil.Process().memory_info().peak_wset)
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if platform.system() == "Darwin" else peak * 1024


def dtype_name(dtype: torch.dtype) -> str:
    """Name a number format without its module: 'bfloat16'."""
    return str(dtype).removeprefix("torch.")
