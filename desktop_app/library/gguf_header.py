"""Read what a GGUF file says about itself: architecture, name, file type, number of parameters.

GGUF is llama.cpp's format; this program lists and writes such models but does not train them. Every count and length
in the file is bounded before it is used, and at most 64 MB are read.
"""

import struct
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

from desktop_app.errors import ModelError

MAGIC = b"GGUF"
_MAX_HEADER_BYTES = 64 * 1024 * 1024
_MAX_ENTRIES = 200_000
MAX_TEXT_BYTES = 1024 * 1024
_MAX_ARRAY = 4_000_000
_TEXT, _ARRAY = 8, 9
_NUMBERS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_FILE_TYPES = {
    0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 7: "Q8_0", 8: "Q5_0", 9: "Q5_1", 10: "Q2_K", 11: "Q3_K_S",
    12: "Q3_K_M", 13: "Q3_K_L", 14: "Q4_K_S", 15: "Q4_K_M", 16: "Q5_K_S", 17: "Q5_K_M", 18: "Q6_K",
    19: "IQ2_XXS", 20: "IQ2_XS", 21: "Q2_K_S", 22: "IQ3_XS", 23: "IQ3_XXS", 24: "IQ1_S", 25: "IQ4_NL",
    26: "IQ3_S", 27: "IQ3_M", 28: "IQ2_S", 29: "IQ2_M", 30: "IQ4_XS", 31: "IQ1_M", 32: "BF16",
}  # fmt: skip
_DAMAGED = "The file is damaged or its download ended early; get it again from where the model came from."


@dataclass(frozen=True, slots=True, kw_only=True)
class GgufTensor:
    """One tensor by the header: shape with the columns last, ggml's number of its type, first byte in the file."""

    shape: tuple[int, ...]
    type_number: int
    begin: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GgufHeader:
    """A GGUF file by its header; `values` holds its single values by key, arrays left out."""

    tensors: dict[str, GgufTensor]
    values: dict[str, Any]

    @property
    def parameters(self) -> int:
        """How many values all tensors hold."""
        return sum(prod(tensor.shape) for tensor in self.tensors.values())

    @property
    def architecture(self) -> str:
        """The family of the model: llama, qwen3, …"""
        return str(self.values.get("general.architecture", ""))[:120]

    @property
    def quantization(self) -> str:
        """The file type by llama.cpp's name: Q4_K_M, Q8_0, …; '' where the file does not say."""
        return _FILE_TYPES.get(self.values.get("general.file_type", -1), "")

    @property
    def context_length(self) -> int:
        """Longest input in tokens, 0 where the file does not say."""
        value = self.values.get(f"{self.architecture}.context_length", 0)
        return value if isinstance(value, int) and 0 <= value <= 2**40 else 0


def read_gguf_header(file: Path) -> GgufHeader:
    """Read the key-value part and the list of tensors.

    Raises:
        ModelError: the file cannot be read, is no GGUF file of version 2 or 3, or its header is damaged.
    """
    try:
        with file.open("rb") as stream:
            return _Reader(stream, file.name).header()
    except OSError as error:
        raise ModelError(
            f"{file} cannot be read: {error.strerror}.", "Check that you may read it, then look again."
        ) from error


class _Reader:
    def __init__(self, stream: BinaryIO, name: str) -> None:
        self.stream = stream
        self.name = name
        self.left = _MAX_HEADER_BYTES

    def header(self) -> GgufHeader:
        if self._take(4) != MAGIC:
            raise ModelError(f"{self.name} is no GGUF file: it does not start with 'GGUF'.", _DAMAGED)
        version = self._number("I")
        if version not in (2, 3):
            raise ModelError(
                f"{self.name} is GGUF of version {version}; versions 2 and 3 can be read.",
                "Get a newer file of the model.",
            )
        tensors, entries = self._number("Q"), self._number("Q")
        if max(tensors, entries) > _MAX_ENTRIES:
            raise self._damage(f"it lists {max(tensors, entries):,} entries, at most {_MAX_ENTRIES:,} are read")
        values: dict[str, Any] = {}
        for _ in range(entries):
            key = self._text()
            value = self._value(self._number("I"))
            if value is not None:
                values[key] = value
        listed = dict(self._tensor() for _ in range(tensors))
        if len(listed) < tensors:
            raise self._damage("it lists a tensor twice")
        return GgufHeader(tensors=self._placed(listed, values.get("general.alignment", 32)), values=values)

    def _placed(self, listed: dict[str, GgufTensor], alignment: Any) -> dict[str, GgufTensor]:
        """Count the tensors' places from the beginning of the file instead of from the end of the header."""
        if not isinstance(alignment, int) or not 0 < alignment <= 2**20:
            raise self._damage(f"its alignment is {alignment!r}")
        start = -(-self.stream.tell() // alignment) * alignment
        return {name: replace(tensor, begin=start + tensor.begin) for name, tensor in listed.items()}

    def _tensor(self) -> tuple[str, GgufTensor]:
        name = self._text()
        dimensions = self._number("I")
        if dimensions > 8:
            raise self._damage(f"tensor {name[:60]!r} has {dimensions} dimensions")
        shape = struct.unpack(f"<{dimensions}Q", self._take(8 * dimensions))
        kind, offset = self._number("I"), self._number("Q")
        if prod(shape) > 2**50:
            raise self._damage(f"tensor {name[:60]!r} has {prod(shape):,} elements")
        return name, GgufTensor(shape=shape[::-1], type_number=kind, begin=offset)

    def _value(self, kind: int) -> Any:
        if kind == _TEXT:
            return self._text()
        if kind != _ARRAY:
            return self._number(self._format(kind))
        item, count = self._number("I"), self._number("Q")
        if count > _MAX_ARRAY:
            raise self._damage(f"an array of {count:,} items")
        if item == _TEXT:
            for _ in range(count):
                self._take(self._length())
        else:
            self._take(count * struct.calcsize("<" + self._format(item)))
        return None

    def _format(self, kind: int) -> str:
        if kind not in _NUMBERS:
            raise self._damage(f"a value of the unknown type {kind}")
        return _NUMBERS[kind]

    def _text(self) -> str:
        return self._take(self._length()).decode("utf-8", "replace")

    def _length(self) -> int:
        length: int = self._number("Q")
        if length > MAX_TEXT_BYTES:
            raise self._damage(f"a text of {length:,} bytes")
        return length

    def _number(self, form: str) -> Any:
        return struct.unpack("<" + form, self._take(struct.calcsize("<" + form)))[0]

    def _take(self, count: int) -> bytes:
        self.left -= count
        if self.left < 0:
            raise self._damage(f"it is longer than {_MAX_HEADER_BYTES:,} bytes")
        block = self.stream.read(count)
        if len(block) < count:
            raise self._damage("it ends too early")
        return block

    def _damage(self, what: str) -> ModelError:
        return ModelError(f"The header of {self.name} is damaged: {what}.", _DAMAGED)
