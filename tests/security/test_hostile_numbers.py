"""Hostile configs and tokenizers by the hundred, made from a seed: each refused in words or honestly described."""

import json
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from desktop_app.domain.finetune_spec import FinetuneSpec
from desktop_app.domain.machine import MachineSample
from desktop_app.errors import AppError, ModelError, ServiceError
from desktop_app.library.model_folder import check_model_folder
from desktop_app.memory_plan import memory_plan
from desktop_app.services.client import Service
from tests.fakes.fake_service import laptop_sample
from tests.fakes.model_files import LLAMA, write_adapter, write_json, write_llama
from tests.fakes.tiny_tokenizer import CHATML, write_tokenizer

_FOREIGN: list[tuple[str, object]] = [
    ("_attn_implementation", "evil/kernels"),
    ("attn_implementation", "paged|evil/kernels@main:run"),
    ("_attn_implementation_internal", ["sdpa", "evil/kernels"]),
    ("_attn_implementation_autoset", {"": "evil.kernels:run"}),
    ("experts_implementation", "evil/kernels"),
    ("_experts_implementation_internal", {"a": {"b": "C:\\evil"}}),
    ("trust_remote_code", True),
    ("trust_remote_code", "yes"),
]
_PLACES = [
    lambda key, value: {key: value},
    lambda key, value: {"text_config": {key: value}},
    lambda key, value: {"vision_config": {"inner": {key: value}}},
    lambda key, value: {"layers": [[1, {key: value}]]},
    lambda key, value: {"quantization_config": {"quant_method": "bitsandbytes", "more": [{key: value}]}},
]


@pytest.mark.parametrize("place", range(len(_PLACES)))
@pytest.mark.parametrize(("key", "value"), _FOREIGN)
def test_code_from_elsewhere_is_refused_wherever_it_stands(tmp_path: Path, place: int, key: str, value: object) -> None:
    said = _PLACES[place](key, value)
    for folder in (write_llama(tmp_path / "model", **said), write_adapter(tmp_path / "adapter", "owner/model", **said)):
        with pytest.raises(ModelError, match=key) as caught:
            check_model_folder(folder)
        assert caught.value.hint


_SIZES = [
    *("hidden_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "head_dim"),
    *("intermediate_size", "vocab_size", "max_position_embeddings"),
]
_ODD = [
    *(0, -1, 1, 3, 2**15, 2**20 - 1, 2**24, 2**31, 2**40, 2**63, 10**18, 10**30, 10**400),
    *(0.5, 1e308, True, None, "64", "", [], [1], [2**40, 1], {"a": 1}, [[1]]),
]


def test_absurd_sizes_are_refused_or_planned_for_at_once(tmp_path: Path) -> None:
    folder, sample = write_llama(tmp_path / "model"), MachineSample.model_validate(laptop_sample())
    spec = FinetuneSpec(model=str(folder), data="rows.jsonl")
    refused = planned = 0
    slowest_s = 0.0
    chance = random.Random(8)
    pairs = [(name, value) for name in _SIZES for value in _ODD]
    cases: list[dict[str, Any]] = [dict([pair]) for pair in pairs]
    cases += [dict(chance.sample(pairs, 3)) for _ in range(100)]
    for case in cases:
        write_json(folder / "config.json", {**LLAMA, **case})
        begun = time.process_time()
        try:
            facts = check_model_folder(folder)
        except ModelError as error:
            assert error.hint and len(error.message) < 400, case
            refused += 1
        else:
            plan = memory_plan(spec, facts, sample)
            assert plan.needed_bytes > 0 and all(term.bytes >= 0 for term in plan.terms), case
            planned += 1
        slowest_s = max(slowest_s, time.process_time() - begun)
    assert refused > 100 and planned > 50 and refused + planned == len(cases) >= 200
    assert slowest_s < 2  # measured below 0.05 s; shared machines stall


@pytest.fixture
def inspect(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    monkeypatch.setenv("WHETSTONE_DATA_DIR", str(tmp_path / "data"))
    service = Service("inspect")
    yield service
    service.close()


def _spoiled(sound: bytes, chance: random.Random) -> bytes:
    """Change numbers, names and bytes; half of the mutants are JSON still, so that they get further."""
    if chance.random() < 0.5:
        spoiled = bytearray(sound)
        for _ in range(chance.choice([1, 2, 8])):
            at = chance.randrange(len(spoiled))
            spoiled[at : at + chance.choice([0, 1, 30])] = chance.choice([b'"', b"9" * 30, b"}", b"\xff", b"-1,"])
        return bytes(spoiled)
    value = json.loads(sound)
    for _ in range(chance.choice([1, 2, 5])):
        _change(value, chance)
    return json.dumps(value).encode()


def _change(node: Any, chance: random.Random) -> None:
    """Walk to some place of the tree and put something else there."""
    while True:
        keys = list(node) if isinstance(node, dict) else list(range(len(node)))
        if not keys:
            return
        key = chance.choice(keys)
        if isinstance(node[key], dict | list) and node[key] and chance.random() < 0.8:
            node = node[key]
            continue
        odd = [None, -1, 2**31, 2**64, "", "BPE", "WordPiece", "(a+)+$", "\ud83d", [], {}, [["a", "b"]], 1e999, True]
        node[key] = chance.choice([*odd, {"type": chance.choice(["Sequence", "Split", "Unigram"])}])
        return


@pytest.mark.parametrize("count", [120, pytest.param(5000, marks=pytest.mark.night)])
def test_spoiled_tokenizers_end_in_words_and_the_helper_lives_on(inspect: Service, tmp_path: Path, count: int) -> None:
    model = write_llama(write_tokenizer(tmp_path / "model", CHATML), vocab_size=400)
    file, rows = model / "tokenizer.json", tmp_path / "rows.jsonl"
    rows.write_text('{"prompt": "Where is the saw? \\ud83d\\ude42", "completion": "In the barn."}\n' * 3)
    asked: dict[str, Any] = {"data": {"paths": [str(rows)]}, "tokens": {"model": str(model), "max_length": 64}}
    sound, chance = file.read_bytes(), random.Random(20_261_121)
    read = refused = 0
    for number in range(count):
        file.write_bytes(_spoiled(sound, chance))
        try:
            assert inspect.call("token_preview", 60, row=1, **asked)["count"] >= 0
            read += 1
        except AppError as error:
            file.rename(tmp_path / "spoiled.json")
            assert error.message and error.hint, number
            assert not isinstance(error, ServiceError), (number, error.message)  # the helper has not died
            assert "mistake of this program" not in error.message, (number, error.message)
            refused += 1
    assert read and refused
    file.write_bytes(sound)
    assert inspect.call("token_preview", 60, row=1, **asked)["trained"] > 0
