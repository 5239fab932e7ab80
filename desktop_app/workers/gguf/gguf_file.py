"""A GGUF file that is written from its first byte to its last: header with all sizes, then one tensor after another.

Header and list of tensors are packed by `gguf`, whose writer would hold every tensor until the end; the data is
written through here. A file that an earlier attempt left is gone on with after its last whole tensor.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType, GGUFWriter

_ALIGNMENT = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class FileTensor:
    """A tensor as the header lists it; `shape` as in PyTorch, columns last. Either `source` or `values` is given."""

    name: str
    shape: tuple[int, ...]
    type: GGMLQuantizationType
    source: str = ""
    values: torch.Tensor | None = None

    @property
    def size_bytes(self) -> int:
        """Bytes of its data, without the padding behind it."""
        block, block_bytes = GGML_QUANT_SIZES[self.type]
        return int(np.prod(self.shape, dtype=np.int64)) // block * block_bytes


class GgufFile:
    """The sink of one copy. Tensors are known by their source's names and must come in the order of the header."""

    def __init__(self, path: Path, header: GGUFWriter, tensors: Sequence[FileTensor]) -> None:
        """Write the header and the tensors that have values of their own, or find them as an earlier attempt did."""
        self._path = path
        self._tensors = tensors
        self._number = {tensor.source: number for number, tensor in enumerate(tensors) if tensor.source}
        begin = _packed_header(path, header, tensors)
        self._begins = [len(begin)]
        for tensor in tensors:
            self._begins.append(self._begins[-1] + _padded(tensor.size_bytes))
        self._stream: BinaryIO = path.open("r+b" if path.exists() else "w+b")
        self._whole = self._found_whole(begin, path.stat().st_size)
        for number, tensor in enumerate(tensors):
            if tensor.values is not None and number >= self._whole:
                self._put(number, 0, tensor.values)
                self._fill(number)

    def has(self, group: str) -> bool:
        """Whether the tensor stands there whole, from an earlier attempt."""
        return self._number[group] < self._whole

    def write(self, group: str, name: str, at_byte: int, values: torch.Tensor) -> None:
        """Write bytes of a tensor from one of its bytes on."""
        self._put(self._number[group], at_byte, values)

    def write_late(self, group: str, name: str, values: torch.Tensor) -> None:
        """Refuse: all sizes stand in the header."""
        raise NotImplementedError(name)

    def finish(self, group: str) -> None:
        """Fill up to where the next tensor begins."""
        self._fill(self._number[group])

    def complete(self) -> None:
        """Check that the closed file has the size that its header says.

        Raises:
            RuntimeError: a tensor was left out.
        """
        size = self._path.stat().st_size
        if size != self._begins[-1]:
            raise RuntimeError(f"{size} bytes were written, the header says {self._begins[-1]}")

    def close(self) -> None:
        """Write out what is buffered."""
        self._stream.close()

    def _found_whole(self, begin: bytes, size: int) -> int:
        """Count the tensors that an earlier attempt left whole, and cut off what follows them."""
        if self._stream.read(len(begin)) == begin:
            whole = sum(end <= size for end in self._begins[1:])
        else:
            whole = 0
            self._stream.seek(0)
            self._stream.write(begin)
        self._stream.truncate(self._begins[whole])
        return whole

    def _put(self, number: int, at_byte: int, values: torch.Tensor) -> None:
        self._stream.seek(self._begins[number] + at_byte)
        self._stream.write(memoryview(values.contiguous().view(-1).view(torch.uint8).numpy()))

    def _fill(self, number: int) -> None:
        end = self._begins[number] + self._tensors[number].size_bytes
        self._stream.seek(end)
        self._stream.write(bytes(self._begins[number + 1] - end))


def _packed_header(path: Path, header: GGUFWriter, tensors: Sequence[FileTensor]) -> bytes:
    """Let `gguf` write a header with the list of tensors beside the file, and return its bytes, filled up."""
    for tensor in tensors:
        header.add_tensor_info(
            tensor.name, tensor.shape, np.dtype(np.float32), tensor.size_bytes, raw_dtype=tensor.type
        )
    beside = path.with_name(f".{path.name}.header")
    try:
        header.write_header_to_file(beside)
        header.write_kv_data_to_file()
        header.write_ti_data_to_file()
        header.close()
        packed = beside.read_bytes()
    finally:
        beside.unlink(missing_ok=True)
    return packed + bytes(_padded(len(packed)) - len(packed))


def _padded(size: int) -> int:
    return -(-size // _ALIGNMENT) * _ALIGNMENT
