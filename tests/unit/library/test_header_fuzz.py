"""Headers with changed, cut and added bytes: read or refused in words, within bounds of time and memory."""

import random
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from desktop_app.errors import ModelError
from desktop_app.library.gguf_header import read_gguf_header
from desktop_app.library.safetensors_header import read_header
from tests.fakes.model_files import gguf_bytes, llama_tensors, write_safetensors

_MOST_BYTES = 200 * 1024 * 1024


def _mutant(sound: bytes, chance: random.Random) -> bytes:
    mutant = bytearray(sound)
    for _ in range(chance.choice([1, 1, 2, 4, 16])):
        place = chance.randrange(min(len(mutant), 4000) + 1)
        match chance.randrange(5):
            case 0:
                mutant[place : place + 1] = bytes([chance.randrange(256)])
            case 1:
                mutant[place : place + 8] = chance.choice([0, 2**31, 2**63, 2**64 - 1]).to_bytes(8, "little")
            case 2:
                del mutant[place : place + chance.randrange(1, 40)]
            case 3:
                mutant[place:place] = bytes(chance.randrange(256) for _ in range(chance.randrange(1, 9)))
            case 4:
                mutant = mutant[: max(8, place)]
    return bytes(mutant)


def _try(file: Path, read: Callable[[Path], object], count: int) -> None:
    sound = file.read_bytes()
    chance = random.Random(20_261_121)
    tracemalloc.start()
    try:
        for _ in range(count):
            mutant = _mutant(sound, chance)
            file.write_bytes(mutant)
            begun = time.monotonic()
            try:
                read(file)
            except ModelError as error:
                assert "\n" not in str(error) and len(str(error)) < 1000
            assert time.monotonic() - begun < 5, mutant[:400]
        assert tracemalloc.get_traced_memory()[1] < _MOST_BYTES
    finally:
        tracemalloc.stop()


def _safetensors(folder: Path) -> Path:
    write_safetensors(folder / "model.safetensors", dict(list(llama_tensors().items())[:4]))
    return folder / "model.safetensors"


def _gguf(folder: Path) -> Path:
    tensors = {f"blk.{number}.weight": (64, 64) for number in range(8)}
    (folder / "m.gguf").write_bytes(gguf_bytes(tensors, **{"general.name": "Lamb", "general.file_type": 15}))
    return folder / "m.gguf"


@pytest.mark.parametrize(("make", "read"), [(_safetensors, read_header), (_gguf, read_gguf_header)])
def test_some_hundred_mutants(tmp_path: Path, make: Callable[[Path], Path], read: Callable[[Path], object]) -> None:
    _try(make(tmp_path), read, 500)


@pytest.mark.night
@pytest.mark.parametrize(
    ("make", "read", "count"), [(_safetensors, read_header, 100_000), (_gguf, read_gguf_header, 50_000)]
)
def test_many_mutants(tmp_path: Path, make: Callable[[Path], Path], read: Callable[[Path], object], count: int) -> None:
    _try(make(tmp_path), read, count)
