"""The tensors of a model's safetensors files, read piece by piece in the order in which they lie on the disk.

Read, not mapped: memory stays that of one piece, and a file that is cut meanwhile is an error instead of a crash.
"""

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

import torch

from desktop_app.errors import StorageError
from desktop_app.library.safetensors_header import Tensor, read_header

DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}
DTYPE_NAMES = {dtype: name for name, dtype in DTYPES.items()}
_WEIGHTS, _INDEX = "model.safetensors", "model.safetensors.index.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    file: Path
    tensor: Tensor


class TensorSource:
    """A folder that was checked; a context manager that holds its files open."""

    def __init__(self, folder: Path) -> None:
        self._lock = threading.Lock()
        self._open: dict[Path, BinaryIO] = {}
        self._places = dict(_placed(folder))

    def __enter__(self) -> "TensorSource":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for stream in self._open.values():
            stream.close()

    def __contains__(self, name: str) -> bool:
        return name in self._places

    def __iter__(self) -> Iterator[str]:
        """Names in the order of the files and of their bytes."""
        return iter(self._places)

    @property
    def total_bytes(self) -> int:
        """Size of all tensors."""
        return sum(place.tensor.size_bytes for place in self._places.values())

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of a tensor."""
        return self._places[name].tensor.shape

    def dtype(self, name: str) -> torch.dtype:
        """Number format of a tensor."""
        return DTYPES[self._places[name].tensor.dtype]

    def size_bytes(self, name: str) -> int:
        """Size of a tensor in the file."""
        return self._places[name].tensor.size_bytes

    def read(self, name: str, start: int = 0, count: int | None = None) -> torch.Tensor:
        """Read `count` elements from element `start` on (all that are left unless said) as a flat tensor.

        Raises:
            StorageError: the file ends before them, or cannot be read.
        """
        place = self._places[name]
        dtype = self.dtype(name)
        elements = place.tensor.elements - start if count is None else count
        buffer = torch.empty(elements * dtype.itemsize, dtype=torch.uint8)
        left = memoryview(buffer.numpy())
        with self._lock:
            stream = self._stream(place.file)
            stream.seek(place.tensor.begin + start * dtype.itemsize)
            while left:
                got = stream.readinto(left)  # type: ignore[attr-defined]  # unbuffered, so it is a raw file
                if not got:
                    raise StorageError(
                        f"{place.file} became shorter while it was read.", "Let nobody change the model meanwhile."
                    )
                left = left[got:]
        return buffer.view(dtype)

    def _stream(self, file: Path) -> BinaryIO:
        if file not in self._open:
            try:
                self._open[file] = file.open("rb", buffering=0)
            except OSError as error:
                raise StorageError(
                    f"{file} cannot be read: {error.strerror}.", "Check that you may read it."
                ) from error
        return self._open[file]


def weight_files(folder: Path) -> list[Path]:
    """Name the files that a loader would read, in the order of their names."""
    index = folder / _INDEX
    if (folder / _WEIGHTS).is_file() or not index.is_file():
        return [folder / _WEIGHTS]
    return [folder / name for name in sorted(set(json.loads(index.read_bytes())["weight_map"].values()))]


def _placed(folder: Path) -> Iterator[tuple[str, _Place]]:
    for file in weight_files(folder):
        tensors = read_header(file).tensors
        for name in sorted(tensors, key=lambda each: tensors[each].begin):
            yield name, _Place(file=file, tensor=tensors[name])
