"""The weights of a GGUF file by the names and in the order that the model's folder has, each dequantized when read."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import gguf
import numpy as np
import torch

from desktop_app.errors import StorageError
from desktop_app.library.gguf_header import read_gguf_header

from .block_format import FORMATS
from .tensor_plan import GgufTensor

_PIECE_ELEMENTS = 1 << 20


class FileWeights:
    """A file that holds `planned` tensors. Matrices are read by whole rows, all but embeddings in whole."""

    def __init__(self, file: Path, planned: Sequence[GgufTensor]) -> None:
        self._file = file
        self._listed = read_gguf_header(file).tensors
        self._planned = {tensor.source: tensor for tensor in planned if tensor.source}

    def __iter__(self) -> Iterator[str]:
        return iter(self._planned)

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of a tensor, in PyTorch's order."""
        return self._planned[name].shape

    def read(self, name: str, start: int = 0, count: int | None = None) -> torch.Tensor:
        """Return values in float32, flat, from element `start` on; both a multiple of the columns."""
        tensor = self._planned[name]
        columns = tensor.shape[-1]
        first, last = (
            start // columns,
            (torch.Size(tensor.shape).numel() if count is None else start + count) // columns,
        )
        rows = torch.empty(last - first, columns)
        step = max(1, _PIECE_ELEMENTS // columns)
        for begin in range(first, last, step):
            end = min(begin + step, last)
            rows[begin - first : end - first] = self._rows(tensor, begin, end - begin)
        values = rows.view(-1) if len(tensor.shape) == 1 else rows
        return tensor.as_in_source(values).reshape(-1)

    def _rows(self, tensor: GgufTensor, first: int, count: int) -> torch.Tensor:
        listed = self._listed[tensor.name]
        kind = gguf.GGMLQuantizationType(listed.type_number)
        row_bytes = FORMATS[kind].row_bytes(tensor.shape[-1])
        with self._file.open("rb", buffering=0) as stream:
            stream.seek(listed.begin + first * row_bytes)
            data = bytearray(stream.read(count * row_bytes))
        if len(data) < count * row_bytes:
            raise StorageError(f"{self._file} ends too early.", "Run it again; if it happens again, report it.")
        return torch.from_numpy(gguf.quants.dequantize(np.frombuffer(data, np.uint8).reshape(count, -1), kind))
