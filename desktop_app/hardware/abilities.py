"""What each feature of this program needs, and whether this computer has it.

Decided by a sample of the sensors and by the metadata of installed packages; torch is never imported here.
"""

import functools
import importlib.metadata
import sys
from pathlib import Path

from desktop_app.domain.machine import Ability, MachineSample

from .cuda_state import cuda_generation, torch_cannot_use_gpu

# Compute capabilities: bf16 and flash attention from Ampere on (PyTorch's SDPA), memory-efficient attention from
# Maxwell on; bitsandbytes: NF4 and FP4 from Pascal on, LLM.int8 from Turing on (its installation guide).
_BF16, _FLASH, _EFFICIENT, _FOUR_BIT, _EIGHT_BIT = (8, 0), (8, 0), (5, 0), (6, 0), (7, 5)


def abilities(sample: MachineSample) -> tuple[Ability, ...]:
    """Say for each feature what it needs and what was found; in the order of their importance."""
    gpu = _usable(sample)
    bits = _version("bitsandbytes")
    return (
        Ability(
            name="Train and quantize on the processor",
            needs="PyTorch",
            is_here=bool(_version("torch")),
            finding=f"PyTorch {_version('torch')}" if _version("torch") else "PyTorch is not installed",
        ),
        Ability(
            name="Train on the GPU",
            needs="an NVIDIA GPU, its driver, PyTorch for CUDA",
            is_here=gpu is not None,
            finding=_gpu_finding(sample, gpu),
        ),
        _bf16(gpu),
        _kernels("4-bit kernels (NF4, QLoRA)", gpu, _FOUR_BIT, bits),
        _kernels("8-bit kernels (LLM.int8)", gpu, _EIGHT_BIT, bits),
        _attention(gpu),
        _several(sample, gpu),
    )


def _usable(sample: MachineSample) -> tuple[int, int] | None:
    """Return the compute capability of the GPU that jobs use; None if they use none, (0, 0) if it is not told."""
    if not sample.gpus or cuda_generation() is None or torch_cannot_use_gpu(sample):
        return None
    major, _, minor = sample.gpus[0].capability.partition(".")
    return (int(major), int(minor)) if major.isdecimal() and minor.isdecimal() else (0, 0)


def _gpu_finding(sample: MachineSample, gpu: tuple[int, int] | None) -> str:
    if gpu is not None:
        return f"{sample.gpus[0].name}, driver {sample.gpus[0].driver}, CUDA {cuda_generation()}"
    return torch_cannot_use_gpu(sample) or sample.gpu_problem or "No NVIDIA GPU in this computer."


def _bf16(gpu: tuple[int, int] | None) -> Ability:
    if gpu is not None:
        return Ability(
            name="bf16 in hardware",
            needs="compute capability 8.0 (RTX 30 series or newer)",
            is_here=gpu >= _BF16,
            finding=_capability(gpu),
        )
    fast = [flag for flag in ("amx_bf16", "avx512_bf16") if flag in _cpu_flags()]
    return Ability(
        name="bf16 in hardware",
        needs="a GPU from the RTX 30 series on, or a processor with AVX-512 BF16 or AMX",
        is_here=bool(fast),
        finding=f"The processor has {' and '.join(fast)}." if fast else "Works on the processor too, only slower.",
    )


def _kernels(name: str, gpu: tuple[int, int] | None, least: tuple[int, int], bits: str) -> Ability:
    needs = f"bitsandbytes; on a GPU compute capability {least[0]}.{least[1]}"
    if not bits:
        return Ability(name=name, needs=needs, is_here=False, finding="bitsandbytes is not installed")
    if gpu is None:
        return Ability(name=name, needs=needs, is_here=True, finding=f"bitsandbytes {bits}, on the processor")
    return Ability(name=name, needs=needs, is_here=gpu >= least, finding=f"bitsandbytes {bits}; {_capability(gpu)}")


def _attention(gpu: tuple[int, int] | None) -> Ability:
    name, needs = "Fast attention kernels", "a GPU; flash attention from compute capability 8.0, else the efficient one"
    if gpu is None:
        return Ability(name=name, needs=needs, is_here=False, finding="On the processor PyTorch's own attention runs.")
    kind = "flash" if gpu >= _FLASH else "memory-efficient" if gpu >= _EFFICIENT else "plain"
    return Ability(name=name, needs=needs, is_here=gpu >= _EFFICIENT, finding=f"PyTorch's {kind} attention")


def _several(sample: MachineSample, gpu: tuple[int, int] | None) -> Ability:
    count = len(sample.gpus) if gpu is not None else 0
    is_linux = sys.platform == "linux"
    return Ability(
        name="Several GPUs at once (torchrun)",
        needs="two NVIDIA GPUs or more, Linux",
        is_here=count > 1 and is_linux,
        finding=f"{count} usable GPU{'' if count == 1 else 's'}{'' if is_linux else ', not Linux'}",
    )


def _capability(gpu: tuple[int, int]) -> str:
    return f"compute capability {gpu[0]}.{gpu[1]}" if gpu > (0, 0) else "The driver does not tell the capability."


@functools.cache
def _cpu_flags() -> frozenset[str]:
    """The processor's instruction sets, where the system lists them (Linux)."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return frozenset()
    flags = next((line.partition(":")[2] for line in lines if line.startswith("flags")), "")
    return frozenset(flags.split())


@functools.cache
def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""
