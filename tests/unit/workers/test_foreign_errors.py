"""What libraries mean by their exceptions: each known one becomes a branch of our tree, a bug stays a bug."""

import errno
from pathlib import Path

import pytest

from desktop_app.errors import AppError, DiskFull, HardwareError, ModelError, SpecError, StorageError
from desktop_app.workers.foreign_errors import foreign_errors_in_words, is_disk_full, loader_errors_in_words

OutOfMemoryError = type("OutOfMemoryError", (RuntimeError,), {})
SafetensorError = type("SafetensorError", (Exception,), {})
NoMatchingPeftModuleError = type("NoMatchingPeftModuleError", (ValueError,), {})


@pytest.mark.parametrize(
    ("error", "branch", "says"),
    [
        (OutOfMemoryError("CUDA out of memory. Tried to allocate 2.50 GiB. GPU 0"), HardwareError, "2.50 GiB"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8589934592 bytes"),
         HardwareError, "8.0 GiB"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1572864 bytes"),
         HardwareError, "1.5 MiB"),
        (MemoryError(), HardwareError, "RAM"),
        (OSError(errno.ENOSPC, "No space left on device"), StorageError, "full"),
        (SafetensorError("I/O error: No space left on device (os error 28)"), StorageError, "full"),
        (RuntimeError("[enforce fail at inline_container.cc:664] . unexpected pos 64 vs 0"), StorageError, "full"),
        (SafetensorError("Error while deserializing header: incomplete metadata"), ModelError, "damaged"),
        (NoMatchingPeftModuleError("Target modules {'nope'} not found in the base model."), SpecError, "nope"),
        (RuntimeError("CUDA error: device-side assert triggered"), HardwareError, "GPU"),
    ],
)  # fmt: skip
def test_known_problems_become_words(error: Exception, branch: type[AppError], says: str) -> None:
    with pytest.raises(branch, match=says) as told, foreign_errors_in_words():
        raise error
    assert told.value.hint
    assert told.value.__cause__ is error


def test_the_cause_of_an_exception_is_looked_at_too() -> None:
    with pytest.raises(StorageError), foreign_errors_in_words():
        try:
            raise OSError(errno.ENOSPC, "No space left on device")
        except OSError as error:
            raise RuntimeError("saving failed") from error


def test_what_nobody_foresaw_stays_a_bug() -> None:
    with pytest.raises(TypeError), foreign_errors_in_words():
        raise TypeError("NoneType")


def test_loaders_speak_about_the_model(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="does not recognize"), loader_errors_in_words(tmp_path):
        raise ValueError("Transformers does not recognize this architecture. Try something else.")
    with pytest.raises(TypeError), loader_errors_in_words(tmp_path):
        raise TypeError("ours")


def test_a_full_disk_is_known_whatever_it_was_turned_into() -> None:
    try:
        try:
            with open("/dev/full", "wb", buffering=0) as stream:
                stream.write(b"x")
        except OSError as error:
            raise StorageError("The result cannot be written.") from error
    except StorageError as error:
        assert is_disk_full(error)
    assert is_disk_full(DiskFull("full"))
    assert not is_disk_full(StorageError("It exists already.")) and not is_disk_full(PermissionError(13, "no"))
