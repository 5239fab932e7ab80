"""Say in words what torch, transformers, peft and safetensors mean by their exceptions.

Told apart by type name and message, so that nothing heavy is imported; what is not known here is a bug.
"""

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from desktop_app.errors import (
    AppError,
    DiskFull,
    HardwareError,
    JobError,
    MemoryShortage,
    ModelError,
    SpecError,
    StorageError,
)

_NO_SPACE_MARKS = ("No space left", "Disk quota exceeded", "inline_container.cc", "unexpected pos")
_LOST_MARKS = ("gloo", "NCCL", "Connection closed by peer", "Connection reset by peer")
_SMALLER = "Choose smaller batches, shorter examples, activation checkpointing or QLoRA; or close other programs."


@contextmanager
def foreign_errors_in_words() -> Iterator[None]:
    """Turn what may go wrong anywhere in a job (memory, disk, GPU) into an AppError.

    Raises:
        AppError: instead of the library's own exception; other exceptions pass.
    """
    try:
        yield
    except AppError:
        raise
    except Exception as error:
        known = _in_words(error)
        if known is None:
            raise
        raise known from error


@contextmanager
def loader_errors_in_words(folder: Path) -> Iterator[None]:
    """Turn what loaders raise about a model folder into a ModelError.

    Raises:
        AppError: instead of the library's own exception.
    """
    try:
        yield
    except AppError:
        raise
    except Exception as error:
        known = _in_words(error)
        if known is not None:
            raise known from error
        if isinstance(error, OSError | ValueError | KeyError | RuntimeError | NotImplementedError):
            raise ModelError(
                f"{folder} cannot be loaded: {first_sentence(error)}",
                "Get the model again from where it came from, or choose another one.",
            ) from error
        raise


def _in_words(error: BaseException) -> AppError | None:
    """Look at an exception and at what caused it; None if nobody foresaw it."""
    seen: BaseException | None = error
    while seen is not None:
        for told in (_memory, _disk, _others, _gpu, _model, _adapter, _checkpoint):
            if (known := told(seen)) is not None:
                return known
        seen = seen.__cause__ or seen.__context__
    return None


def _memory(error: BaseException) -> AppError | None:
    text = str(error)
    if type(error).__name__ == "OutOfMemoryError":
        wanted = re.search(r"[Tt]ried to allocate ([\d.]+ \w+)", text)
        more = f" It wanted {wanted.group(1)} more." if wanted else ""
        return MemoryShortage(f"The memory of the GPU is full.{more}", _SMALLER)
    if isinstance(error, MemoryError) or "DefaultCPUAllocator" in text:
        wanted = re.search(r"allocate (\d+) bytes", text)
        more = f" It wanted {_amount(int(wanted.group(1)))} more." if wanted else ""
        return MemoryShortage(f"The computer's memory (RAM) is full.{more}", _SMALLER)
    return None


def _amount(size_bytes: int) -> str:
    is_large = size_bytes >= 0.1 * 2**30
    return f"{size_bytes / 2**30:.1f} GiB" if is_large else f"{size_bytes / 2**20:.1f} MiB"


def is_disk_full(error: BaseException | None) -> bool:
    """Whether a full disk is at the bottom of an error, whatever it was turned into since."""
    while error is not None:
        if _is_no_space(error):
            return True
        error = error.__cause__ or error.__context__
    return False


def _is_no_space(error: BaseException) -> bool:
    is_full = isinstance(error, OSError) and error.errno in {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}
    return is_full or isinstance(error, DiskFull) or any(mark in str(error) for mark in _NO_SPACE_MARKS)


def _disk(error: BaseException) -> AppError | None:
    if _is_no_space(error):
        return DiskFull("The disk is full; the files of this job could not be written.", "Free some space.")
    if isinstance(error, OSError) and error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
        return StorageError(f"{error.filename} cannot be written: {error.strerror}.", "Choose another output folder.")
    return None


def _gpu(error: BaseException) -> AppError | None:
    text = str(error)
    if "no kernel image is available" in text:
        return HardwareError("This build of PyTorch has no code for this GPU.", "Install a PyTorch build that fits it.")
    if isinstance(error, RuntimeError) and ("CUDA error" in text or "CUDA driver" in text or "NVIDIA driver" in text):
        return HardwareError(f"The GPU does not work: {first_sentence(error)}", "Update its driver, or use the CPU.")
    return None


def _others(error: BaseException) -> AppError | None:
    """The other processes of a training in several, as gloo, NCCL and their store tell of them."""
    if type(error).__name__.startswith("Dist") or any(mark in str(error) for mark in _LOST_MARKS):
        return HardwareError(
            "Another process of this training has ended or cannot be reached.",
            "The log says which and why; then let the job go on from its checkpoint.",
        )
    return None


def _model(error: BaseException) -> AppError | None:
    if type(error).__name__ == "SafetensorError":
        return ModelError(f"A weight file is damaged: {first_sentence(error)}", "Get the model again.")
    return None


def _adapter(error: BaseException) -> AppError | None:
    text = str(error)
    if type(error).__name__ == "NoMatchingPeftModuleError" or ("Target modules" in text and "not found" in text):
        return SpecError(
            f"target_modules: the model has no such layers. {first_sentence(error)}",
            "Use 'all-linear', or names such as q_proj.",
            "target_modules",
        )
    if "PEFT adapter to `lm_head` is not supported" in text:
        return SpecError(
            "target_modules: the output layer lm_head cannot get an adapter.", "Leave it out.", "target_modules"
        )
    return None


def first_sentence(error: BaseException) -> str:
    """Return what a library says first, at most 300 characters."""
    line = " ".join(str(error).split()) or type(error).__name__
    sentence = re.split(r"(?<=[.!?])\s", line, maxsplit=1)[0]
    return sentence if len(sentence) <= 300 else sentence[:297] + "..."


def _checkpoint(error: BaseException) -> AppError | None:
    if (
        type(error).__name__ == "UnpicklingError"
    ):  # of torch.load: only a checkpoint's state is read by it in a training
        return JobError(
            "The checkpoint was not read: one of its files would run code, or is damaged.",
            "If it came from elsewhere, do not use it. Delete its folder and let the job go on from the one before.",
        )
    return None
