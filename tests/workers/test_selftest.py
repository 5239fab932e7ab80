"""The self-test passes on what real workers made, and each kind of damage fails a line that names it."""

import json
import shutil
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from desktop_app import paths
from desktop_app.commands.checks import Check
from desktop_app.commands.selftest import Made, examined, make
from desktop_app.result_folder import write_manifest

pytestmark = pytest.mark.long
MODEL, DATA = paths.demo_model(), paths.demo_data()
Damage = Callable[[bytes], bytes]


def changed(folder: Path, copy: Path, part: str, damage: Damage) -> Path:
    """Copy a result, damage the tensors whose name holds `part`, and list the files anew."""
    shutil.copytree(folder, copy)
    (file,) = copy.glob("*.safetensors")
    content = bytearray(file.read_bytes())
    (header_bytes,) = struct.unpack("<Q", content[:8])
    count = 0
    for name, entry in json.loads(content[8 : 8 + header_bytes]).items():
        if part in name:
            begin, end = (8 + header_bytes + offset for offset in entry["data_offsets"])
            content[begin:end] = damage(bytes(content[begin:end]))
            count += 1
    assert count > 3
    file.write_bytes(content)
    write_manifest(copy, {})
    return copy


def failed(made: Made) -> set[str]:
    found = list(examined(MODEL, DATA, made))
    return {check.name for check in found if not check.is_passed}


def shuffled_floats(content: bytes) -> bytes:
    """The same values in another order: every fourth byte group moves."""
    middle = len(content) // 8 * 4
    return content[middle:] + content[:middle]


def test_selftest(data_dir: Path, tmp_path: Path) -> None:
    """One run makes the results; three examinations judge them: sound, and damaged in two ways each."""
    steps = list(make(MODEL, DATA))
    assert [step for step in steps if isinstance(step, Check) and not step.is_passed] == []
    (made,) = (step for step in steps if isinstance(step, Made))
    assert failed(made) == set()

    zeroed = changed(made.adapter, tmp_path / "zeroed", "lora_B", lambda content: bytes(len(content)))
    unquantized = tmp_path / "unquantized"
    shutil.copytree(MODEL, unquantized)
    write_manifest(unquantized, {})
    assert failed(replace(made, adapter=zeroed, quantized=unquantized)) >= {
        "adapter: B matrices that are not zero",
        "adapter: loaded afresh, its loss is lower by",
        "adapter: divergence from the base (KL)",
        "NF4: size of the original's",
        "NF4: layers packed into 4 bits",
        "NF4: loaded afresh as",
        "NF4: divergence from the original (KL)",
    }

    shuffled_adapter = changed(made.adapter, tmp_path / "shuffled a", "lora_", shuffled_floats)
    shuffled_model = changed(made.quantized, tmp_path / "shuffled q", "_proj.weight", shuffled_floats)
    assert failed(replace(made, adapter=shuffled_adapter, quantized=shuffled_model)) >= {
        "adapter: loaded afresh, its loss is lower by",
        "NF4: divergence from the original (KL)",
    }
