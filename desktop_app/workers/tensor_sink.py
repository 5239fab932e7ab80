"""Write a model's safetensors files piece by piece, header first, in files that appear whole or not at all.

What belongs together (a weight and its scales) stands in one file. A few small tensors whose size depends on their
values come last in the file; room for their entries is kept in the header, whose rest is filled with spaces.
"""

import json
import os
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import torch

from desktop_app.durable_file import sync_dir, write_synced

from .tensor_source import DTYPE_NAMES

_LATE_BYTES = 4096  # more than any description of a quantized tensor has; only its digits in the header matter


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedTensor:
    """One tensor to be written; `is_late`: its size is known only when it is written (one dimension, bytes)."""

    name: str
    dtype: torch.dtype
    shape: tuple[int, ...]
    is_late: bool = False

    @property
    def size_bytes(self) -> int:
        """Size in the file, 0 where it is not known."""
        return 0 if self.is_late else torch.Size(self.shape).numel() * self.dtype.itemsize


@dataclass(slots=True)
class _Shard:
    groups: list[str] = field(default_factory=list)
    tensors: list[PlannedTensor] = field(default_factory=list)
    size_bytes: int = 0
    name: str = ""


class TensorSink:
    """The weight files of one copy. Groups must be finished in the order in which they were planned."""

    def __init__(
        self,
        folder: Path,
        groups: Mapping[str, Iterable[PlannedTensor]],
        shard_bytes: int,
        remarks: Mapping[str, str] | None = None,
    ) -> None:
        self._folder = folder
        self._remarks = {"format": "pt", **(remarks or {})}
        self._shards = _shards(groups, shard_bytes)
        self._shard_of = {group: shard for shard in self._shards for group in shard.groups}
        self._whole = {shard.name for shard in self._shards if (folder / shard.name).is_file()}
        self._file: _ShardFile | None = None

    def has(self, group: str) -> bool:
        """Whether the file that holds this group is whole already, from an earlier attempt."""
        return self._shard_of[group].name in self._whole

    def write(self, group: str, name: str, at_byte: int, values: torch.Tensor) -> None:
        """Write values of a tensor from one of its bytes on."""
        self._opened(group).write(name, at_byte, values)

    def write_late(self, group: str, name: str, values: torch.Tensor) -> None:
        """Take a tensor whose size was not known before."""
        self._opened(group).late[name] = values

    def finish(self, group: str) -> None:
        """Say that a group is complete; the last one of a file gives the file its name."""
        shard = self._shard_of[group]
        if group == shard.groups[-1]:
            self._opened(group).finish()
            self._file = None
            self._whole.add(shard.name)

    def close(self) -> None:
        """Let go of a file that did not get finished."""
        if self._file is not None:
            self._file.stream.close()
            self._file = None

    def complete(self) -> None:
        """Say which tensor stands in which file, if there are several."""
        if len(self._shards) < 2:
            return
        where = {tensor.name: shard.name for shard in self._shards for tensor in shard.tensors}
        total = sum(shard.size_bytes for shard in self._shards)
        index = {"metadata": {"total_size": total}, "weight_map": dict(sorted(where.items()))}
        write_synced(self._folder / "model.safetensors.index.json", json.dumps(index, indent=2) + "\n")

    def _opened(self, group: str) -> "_ShardFile":
        if self._file is None:
            shard = self._shard_of[group]
            self._file = _ShardFile(self._folder / shard.name, shard.tensors, self._remarks)
        return self._file


class _ShardFile:
    """A file on its way, under a hidden name."""

    def __init__(self, final: Path, tensors: list[PlannedTensor], remarks: dict[str, str]) -> None:
        self.final = final
        self.part = final.with_name(f".{final.name}.part")
        self.late: dict[str, torch.Tensor] = {}
        # As safetensors itself orders them: the widest numbers first keeps every tensor aligned.
        ordered = sorted((t for t in tensors if not t.is_late), key=lambda t: (-t.dtype.itemsize, t.name))
        self._entries: dict[str, Any] = {"__metadata__": remarks}
        self._begin: dict[str, int] = {}
        reached = 0
        for tensor in ordered:
            self._begin[tensor.name] = reached
            reached = self._enter(tensor.name, tensor.dtype, tensor.shape, reached, tensor.size_bytes)
        self._late_names = sorted(t.name for t in tensors if t.is_late)
        self._end = late = reached
        for name in self._late_names:
            late = self._enter(name, torch.uint8, (_LATE_BYTES,), late, _LATE_BYTES)
        self._header_bytes = -(-len(json.dumps(self._entries).encode()) // 8) * 8
        self.stream: BinaryIO = self.part.open("wb", buffering=0)
        self._write_header()

    def write(self, name: str, at_byte: int, values: torch.Tensor) -> None:
        self._put(8 + self._header_bytes + self._begin[name] + at_byte, values)

    def finish(self) -> None:
        reached = self._end
        for name in self._late_names:
            values = self.late[name]
            self._put(8 + self._header_bytes + reached, values)
            reached = self._enter(name, values.dtype, tuple(values.shape), reached, values.nbytes)
        self._write_header()
        self.stream.flush()
        os.fsync(self.stream.fileno())
        self.stream.close()
        self.part.replace(self.final)
        sync_dir(self.final.parent)

    def _enter(self, name: str, dtype: torch.dtype, shape: tuple[int, ...], begin: int, size: int) -> int:
        end = begin + size
        self._entries[name] = {"dtype": DTYPE_NAMES[dtype], "shape": list(shape), "data_offsets": [begin, end]}
        return end

    def _write_header(self) -> None:
        text = json.dumps(self._entries).encode().ljust(self._header_bytes)
        self.stream.seek(0)
        self.stream.write(struct.pack("<Q", len(text)) + text)

    def _put(self, at_byte: int, values: torch.Tensor) -> None:
        left = memoryview(values.contiguous().reshape(-1).view(torch.uint8).numpy())
        self.stream.seek(at_byte)
        while left:
            left = left[self.stream.write(left) :]


def _shards(groups: Mapping[str, Iterable[PlannedTensor]], shard_bytes: int) -> list[_Shard]:
    shards = [_Shard()]
    for group, planned in groups.items():
        tensors = list(planned)
        size = sum(tensor.size_bytes for tensor in tensors)
        if shards[-1].groups and shards[-1].size_bytes + size > shard_bytes:
            shards.append(_Shard())
        shards[-1].groups.append(group)
        shards[-1].tensors += tensors
        shards[-1].size_bytes += size
    for number, shard in enumerate(shards, 1):
        several = f"model-{number:05d}-of-{len(shards):05d}.safetensors"
        shard.name = several if len(shards) > 1 else "model.safetensors"
    return shards
