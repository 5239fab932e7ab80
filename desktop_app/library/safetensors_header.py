"""Read what a safetensors file says about its tensors, and check that the file keeps it; never the weights.

Layout: 8 bytes little-endian header length, JSON header, data. Stricter than the format's own library in
the bounds of header and number of tensors, so that a hostile file costs neither time nor memory.
"""

import os
import struct
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import Any

from desktop_app.errors import ModelError

from .json_file import parse_json_object, shown

MAX_HEADER_BYTES = 32 * 1024 * 1024
MAX_TENSORS = 200_000
_MAX_DIMENSIONS = 16
_BITS = {
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E5M2", "F8_E4M3", "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ"), 8),
    **dict.fromkeys(("I16", "U16", "F16", "BF16"), 16),
    **dict.fromkeys(("I32", "U32", "F32"), 32),
    **dict.fromkeys(("I64", "U64", "F64", "C64"), 64),
    **dict.fromkeys(("F6_E2M3", "F6_E3M2"), 6),
    "F4": 4,
}
_DAMAGED = "The file is damaged or its download ended early; get it again from where the model came from."


@dataclass(frozen=True, slots=True, kw_only=True)
class Tensor:
    """One tensor by its header: format's dtype name, shape, size in bytes, and the byte of the file it starts at."""

    dtype: str
    shape: tuple[int, ...]
    size_bytes: int
    begin: int = 0

    @property
    def elements(self) -> int:
        """How many values the tensor holds."""
        return prod(self.shape)


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What one file holds: tensors by name, and its own remarks."""

    tensors: dict[str, Tensor]
    metadata: dict[str, str]


def read_header(file: Path) -> Header:
    """Read and check the header of a safetensors file.

    Raises:
        ModelError: the file cannot be read, is no safetensors file, is cut off or longer than its header
            says, or its tensors overlap, leave holes or do not fill their place.
    """
    try:
        with file.open("rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            start = stream.read(8)
            length = _header_length(file, start, size)
            raw = stream.read(length)
    except OSError as error:
        raise ModelError(
            f"{file} cannot be read: {error.strerror}.", "Check that you may read it, then look again."
        ) from error
    name = f"The header of {file.name}"
    if len(raw) < length or not raw.startswith(b"{"):
        raise ModelError(f"{name} is no JSON object: {file.name} is no safetensors file.", _DAMAGED)
    entries = parse_json_object(raw, name)
    metadata = entries.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(text, str) for text in metadata.values()):
        raise ModelError(f"{name} has remarks ('__metadata__') that are no texts.", _DAMAGED)
    if len(entries) > MAX_TENSORS:
        raise ModelError(f"{name} lists {len(entries):,} tensors; at most {MAX_TENSORS:,} are read.", _DAMAGED)
    tensors = _checked_tensors(file.name, entries, size - 8 - length)
    placed = {name: replace(tensor, begin=8 + length + tensor.begin) for name, tensor in tensors.items()}
    return Header(tensors=placed, metadata=metadata)


def _header_length(file: Path, start: bytes, size: int) -> int:
    if size == 0:
        raise ModelError(f"{file.name} is empty (0 bytes).", _DAMAGED)
    if len(start) < 8:
        raise ModelError(f"{file.name} has {size} bytes, too few for a safetensors file.", _DAMAGED)
    length: int = struct.unpack("<Q", start)[0]
    if length > MAX_HEADER_BYTES:
        raise ModelError(
            f"{file.name} is no safetensors file: its header would have {length:,} bytes "
            f"(at most {MAX_HEADER_BYTES:,}).",
            _DAMAGED,
        )
    if length > size - 8:
        raise ModelError(
            f"{file.name} is cut off: its header needs {length + 8:,} bytes, the file has {size:,}.", _DAMAGED
        )
    return length


def _checked_tensors(file_name: str, entries: dict[str, Any], data_bytes: int) -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = {}
    spans: list[tuple[int, int, str]] = []
    for name, entry in entries.items():
        tensors[name] = tensor = _checked_tensor(file_name, name, entry)
        spans.append((tensor.begin, tensor.begin + tensor.size_bytes, name))
    spans.sort()
    reached = 0
    for begin, end, name in spans:
        if begin != reached:
            what = "overlaps the tensor before it" if begin < reached else "leaves a hole before it"
            raise ModelError(
                f"{file_name}: tensor {shown(name)} starts at byte {begin:,} instead of {reached:,} and {what}.",
                _DAMAGED,
            )
        reached = end
    if reached != data_bytes:
        what = "is cut off" if data_bytes < reached else "is longer than it says"
        raise ModelError(f"{file_name} {what}: its tensors need {reached:,} bytes, {data_bytes:,} are there.", _DAMAGED)
    return tensors


def _checked_tensor(file_name: str, name: str, entry: object) -> Tensor:
    """Check one entry; its beginning counts from the first byte after the header."""
    where = f"{file_name}: tensor {shown(name)}"
    if not isinstance(entry, dict):
        raise ModelError(f"{where} is described by {shown(entry)}.", _DAMAGED)
    dtype, shape, offsets = entry.get("dtype"), entry.get("shape"), entry.get("data_offsets")
    if not isinstance(dtype, str) or dtype not in _BITS:
        raise ModelError(f"{where} has the unknown type {shown(dtype)}.", _DAMAGED)
    if not isinstance(shape, list) or len(shape) > _MAX_DIMENSIONS or not all(_is_size(n) for n in shape):
        raise ModelError(f"{where} has the shape {shown(shape)}, which is none.", _DAMAGED)
    if not isinstance(offsets, list) or len(offsets) != 2 or not all(_is_size(n) for n in offsets):
        raise ModelError(f"{where} lies at {shown(offsets)}, which is no place.", _DAMAGED)
    bits = prod(shape) * _BITS[dtype]
    begin, end = offsets
    if bits % 8 or end - begin != bits // 8:
        raise ModelError(
            f"{where} of type {dtype} and shape {shape} needs {bits / 8:,.10g} bytes, "
            f"but {end - begin:,} are set aside.",
            _DAMAGED,
        )
    return Tensor(dtype=dtype, shape=tuple(shape), size_bytes=end - begin, begin=begin)


def _is_size(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63
