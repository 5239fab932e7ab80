"""Headers are read exactly and every damage is refused with its numbers, in agreement with the format's library."""

import random
import struct
from pathlib import Path

import pytest
from safetensors import SafetensorError, safe_open

from desktop_app.errors import ModelError
from desktop_app.library.safetensors_header import read_header
from tests.fakes.model_files import header_bytes, write_safetensors


def test_reads_names_types_and_shapes_without_the_weights(tmp_path: Path) -> None:
    file = tmp_path / "model.safetensors"
    write_safetensors(file, {"a": ("BF16", (2, 3)), "b": ("F32", ()), "c": ("I8", (0, 7))})
    header = read_header(file)
    assert {name: (t.dtype, t.shape, t.elements) for name, t in header.tensors.items()} == {
        "a": ("BF16", (2, 3), 6),
        "b": ("F32", (), 1),
        "c": ("I8", (0, 7), 0),
    }
    assert header.metadata == {"format": "pt"}


def _entry(dtype: object = "F32", shape: object = (2,), offsets: object = (0, 8)) -> dict[str, object]:
    return {"a": {"dtype": dtype, "shape": shape, "data_offsets": offsets}}


_BROKEN = {
    "empty": (b"", "is empty (0 bytes)"),
    "seven bytes": (b"\1\0\0\0\0\0\0", "has 7 bytes"),
    "text": (b"hello, I am a text file and no model", "no safetensors file"),
    "huge header": (struct.pack("<Q", 2**62) + b"{}", "4,611,686,018,427,387,904 bytes"),
    "header cut off": (struct.pack("<Q", 900) + b'{"a":', "is cut off: its header needs 908 bytes, the file has 13"),
    "header no JSON": (struct.pack("<Q", 6) + b'{"a":!', "is not JSON (line 1, column 6)"),
    "header a list": (header_bytes([1]), "no JSON object"),
    "header deep": (struct.pack("<Q", 50_000) + b'{"a":' + b"[" * 49_995, "nested deeper than 64"),
    "header a bomb of digits": (struct.pack("<Q", 5_006) + b'{"a":' + b"9" * 5_000 + b"}", "more than 4,300 digits"),
    "data cut off": (header_bytes(_entry()) + b"\0" * 7, "is cut off: its tensors need 8 bytes, 7 are there"),
    "data too long": (header_bytes(_entry()) + b"\0" * 9, "is longer than it says: its tensors need 8 bytes, 9"),
    "unknown type": (header_bytes(_entry(dtype="Q4")) + b"\0" * 8, "unknown type 'Q4'"),
    "negative shape": (header_bytes(_entry(shape=[-2])) + b"\0" * 8, "the shape [-2]"),
    "true as shape": (header_bytes(_entry(shape=[True])) + b"\0" * 8, "the shape [True]"),
    "size bomb": (header_bytes(_entry(shape=[2**40, 2**40])) + b"\0" * 8, "needs 4.835703278e+24 bytes"),
    "backward offsets": (header_bytes(_entry(offsets=[8, 0])) + b"\0" * 8, "-8 are set aside"),
    "hole": (header_bytes(_entry(offsets=[8, 16])) + b"\0" * 16, "starts at byte 8 instead of 0 and leaves a hole"),
    "overlap": (
        header_bytes({"a": _entry()["a"], "b": {"dtype": "F32", "shape": [2], "data_offsets": [4, 12]}}) + b"\0" * 12,
        "starts at byte 4 instead of 8 and overlaps",
    ),
    "no offsets": (header_bytes({"a": {"dtype": "F32", "shape": [2]}}), "lies at None"),
    "entry a number": (header_bytes({"a": 7}), "is described by 7"),
    "remarks no texts": (header_bytes({"__metadata__": {"n": 1}}), "remarks"),
}


@pytest.mark.parametrize("case", _BROKEN)
def test_damage_is_refused_with_its_numbers(tmp_path: Path, case: str) -> None:
    content, said = _BROKEN[case]
    file = tmp_path / "model.safetensors"
    file.write_bytes(content)
    with pytest.raises(ModelError) as caught:
        read_header(file)
    assert said in caught.value.message
    assert "get it again" in caught.value.hint.lower() or "get the file again" in caught.value.hint.lower()


def test_what_is_accepted_the_formats_own_library_accepts_too(tmp_path: Path) -> None:
    file = tmp_path / "model.safetensors"
    write_safetensors(file, {"a": ("BF16", (4, 4)), "b": ("F32", (3,)), "c": ("U8", (5,))})
    sound = file.read_bytes()
    chance = random.Random(7)
    accepted = 0
    for _ in range(400):
        mutant = _mutated(sound, chance)
        file.write_bytes(mutant)
        try:
            read_header(file)
        except ModelError:
            continue
        accepted += 1
        try:
            with safe_open(file, framework="np"):
                pass
        except SafetensorError as error:
            pytest.fail(f"{error}: {mutant!r}")
    assert accepted > 0


def _mutated(sound: bytes, chance: random.Random) -> bytes:
    """Change the JSON header in one place, keeping its length right half of the time, or the raw bytes."""
    length = struct.unpack("<Q", sound[:8])[0]
    head, data = bytearray(sound[8 : 8 + length]), sound[8 + length :]
    for _ in range(chance.choice([1, 1, 2, 5])):
        place = chance.randrange(len(head))
        head[place] = chance.choice([*b'0123456789[]{}",:eE.- ', chance.randrange(256)])
    if chance.random() < 0.3:
        del head[chance.randrange(len(head))]
    if chance.random() < 0.1:
        data = data[: chance.randrange(len(data))]
    told = len(head) if chance.random() < 0.8 else chance.randrange(2 * len(head))
    return struct.pack("<Q", told) + bytes(head) + data


def test_too_many_tensors_are_refused_before_they_are_looked_at(tmp_path: Path) -> None:
    file = tmp_path / "model.safetensors"
    file.write_bytes(header_bytes(dict.fromkeys(map(str, range(200_001)), 0)))
    with pytest.raises(ModelError, match="lists 200,001 tensors; at most 200,000"):
        read_header(file)
