"""What the self-test holds its results against: each check has a name, a finding and a bound.

Works on finished folders and measured figures alone; knows nothing of how they were made.
"""

import json
import re
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from desktop_app.library.safetensors_header import read_header
from desktop_app.result_folder import manifest_problems

Summary = Mapping[str, Any]

LEAST_LOSS_DROP = 0.20
LEAST_DROP_AFRESH = 0.20
LEAST_ADAPTER_KL = 0.05
LEAST_NF4_KL = 1e-4  # an unquantized copy lies some 1e-6 from its original, kept in 16 bits as that is
MOST_NF4_KL = 0.1
MOST_NF4_SIZE = 0.5  # the embeddings, which stay in 16 bits, are a large part of so small a model
LEAST_KNOWN_WORDS = 0.90
_LAYER = re.compile(r"_proj\.weight$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One line of the self-test."""

    name: str
    value: str
    bound: str
    is_passed: bool


def whole_result(name: str, folder: Path) -> Check:
    """Every file of a result has the size and SHA-256 of its manifest."""
    problems = manifest_problems(folder)
    value = problems[0] if problems else f"{sum(path.is_file() for path in folder.rglob('*')) - 1} files intact"
    return Check(name=f"{name}: files", value=value, bound="as in manifest.json", is_passed=not problems)


def adapter_checks(folder: Path, trained: Summary, afresh: Summary) -> list[Check]:
    """An adapter learned something, and brings it along into a fresh process.

    `trained` is the summary of the fine-tuning, `afresh` that of its evaluation against the base.
    """
    before, after, loaded = (_number(one) for one in (
        trained.get("eval_loss_before"), trained.get("eval_loss_after"), afresh.get("loss"),
    ))  # fmt: skip
    learned, matrices = _nonzero(folder / "adapter_model.safetensors", "lora_B")
    return [
        _share("adapter: loss on held-out rows falls by", 1 - after / before, LEAST_LOSS_DROP),
        Check(
            name="adapter: B matrices that are not zero",
            value=f"{learned} of {matrices}",
            bound="all",
            is_passed=0 < matrices == learned,
        ),
        _share("adapter: loaded afresh, its loss is lower by", 1 - loaded / before, LEAST_DROP_AFRESH),
        _least("adapter: divergence from the base (KL)", _number(afresh.get("mean_kl")), LEAST_ADAPTER_KL),
    ]


def quantized_checks(source: Path, folder: Path, compared: Summary) -> list[Check]:
    """A quantized copy is smaller, really in 4 bits, and close to its original; `compared`: its evaluation."""
    tensors = read_header(folder / "model.safetensors").tensors
    layers = [name for name in tensors if _LAYER.search(name)]
    packed = [name for name in layers if tensors[name].dtype == "U8"]
    size = _weight_bytes(folder) / _weight_bytes(source)
    kl = _number(compared.get("mean_kl"))
    held_as = str(compared.get("quantization"))
    return [
        Check(
            name="NF4: size of the original's",
            value=f"{size:.1%}",
            bound=f"at most {MOST_NF4_SIZE:.0%}",
            is_passed=size <= MOST_NF4_SIZE,
        ),
        Check(
            name="NF4: layers packed into 4 bits",
            value=f"{len(packed)} of {len(layers)}",
            bound="all",
            is_passed=0 < len(layers) == len(packed),
        ),
        Check(name="NF4: loaded afresh as", value=held_as, bound="NF4", is_passed="NF4" in held_as),
        Check(
            name="NF4: divergence from the original (KL)",
            value=f"{kl:.4g}",
            bound=f"above {LEAST_NF4_KL}, below {MOST_NF4_KL}",
            is_passed=LEAST_NF4_KL < kl < MOST_NF4_KL,
        ),
    ]


def words_check(name: str, answers: Iterable[str], known_text: str) -> Check:
    """A model that was damaged writes words that nobody taught it, or nothing at all."""
    known = set(_words(known_text))
    written = [word for answer in answers for word in _words(answer)]
    share = sum(word in known for word in written) / len(written) if written else 0.0
    return _share(f"{name}: words of its answers that it can know", share, LEAST_KNOWN_WORDS)


def _nonzero(file: Path, part: str) -> tuple[int, int]:
    """Count the tensors whose name holds `part`: those with any bit set, and all."""
    read_header(file)  # a damaged file is told in words
    with file.open("rb") as stream:
        (header_bytes,) = struct.unpack("<Q", stream.read(8))
        header = json.loads(stream.read(header_bytes))
        found = []
        for name, entry in header.items():
            if part in name:
                begin, end = entry["data_offsets"]
                stream.seek(8 + header_bytes + begin)
                found.append(any(stream.read(end - begin)))
    return sum(found), len(found)


def _weight_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob("*.safetensors"))


def _words(text: str) -> list[str]:
    return re.findall(r"[a-z]+", text.lower())


def _share(name: str, value: float, least: float) -> Check:
    return Check(name=name, value=f"{value:.1%}", bound=f"at least {least:.0%}", is_passed=value >= least)


def _least(name: str, value: float, least: float) -> Check:
    return Check(name=name, value=f"{value:.4g}", bound=f"at least {least}", is_passed=value >= least)


def _number(value: object) -> float:
    """A figure, or one that passes no bound."""
    return float(value) if isinstance(value, int | float) else float("nan")
