"""The self-test's bounds: each kind of damage fails a line of its own."""

from pathlib import Path
from typing import Any

import pytest

from desktop_app.commands.checks import Check, adapter_checks, quantized_checks, whole_result, words_check
from desktop_app.result_folder import write_manifest
from tests.fakes.model_files import write_adapter, write_llama

TRAINED = {"eval_loss_before": 3.0, "eval_loss_after": 1.5}
AFRESH = {"loss": 1.6, "mean_kl": 0.4}
COMPARED = {"mean_kl": 0.01, "quantization": "NF4 (4 bits)"}


def failed(checks: list[Check]) -> list[str]:
    return [check.name.split(": ")[1].split(" (")[0] for check in checks if not check.is_passed]


def adapter(folder: Path, b_byte: int) -> Path:
    write_adapter(folder, "base")
    file = folder / "adapter_model.safetensors"
    header = 8 + int.from_bytes(file.read_bytes()[:8], "little")
    content = file.read_bytes()
    file.write_bytes(content[:header] + bytes([b_byte]) * (len(content) - header))
    return folder


@pytest.mark.parametrize(
    ("b_byte", "trained", "afresh", "lines"),
    [
        (1, {}, {}, []),
        (0, {}, {"loss": 3.0, "mean_kl": 0.0}, [
            "B matrices that are not zero", "loaded afresh, its loss is lower by", "divergence from the base",
        ]),
        (1, {}, {"loss": 5.0, "mean_kl": 2.0}, ["loaded afresh, its loss is lower by"]),
        (1, {"eval_loss_after": 2.9}, {}, ["loss on held-out rows falls by"]),
        (1, {"eval_loss_after": None}, {}, ["loss on held-out rows falls by"]),
        (1, {}, {"loss": None, "mean_kl": None}, ["loaded afresh, its loss is lower by", "divergence from the base"]),
    ],
)  # fmt: skip
def test_adapters(
    tmp_path: Path, b_byte: int, trained: dict[str, Any], afresh: dict[str, Any], lines: list[str]
) -> None:
    folder = adapter(tmp_path / "adapter", b_byte)
    assert failed(adapter_checks(folder, {**TRAINED, **trained}, {**AFRESH, **afresh})) == lines


@pytest.mark.parametrize(
    ("compared", "lines"),
    [
        ({}, []),
        ({"mean_kl": 0.0}, ["divergence from the original"]),
        ({"mean_kl": 7.0}, ["divergence from the original"]),
        ({"mean_kl": None}, ["divergence from the original"]),
        ({"mean_kl": float("nan")}, ["divergence from the original"]),
        ({"quantization": "none"}, ["loaded afresh as"]),
    ],
)
def test_quantized_copies_by_their_figures(tmp_path: Path, compared: dict[str, Any], lines: list[str]) -> None:
    checks = quantized_checks(write_llama(tmp_path / "a"), write_llama(tmp_path / "b"), {**COMPARED, **compared})
    assert [
        line for line in failed(checks) if line not in ("size of the original's", "layers packed into 4 bits")
    ] == lines


def test_an_unquantized_copy_fails_by_its_files(tmp_path: Path) -> None:
    source = write_llama(tmp_path / "a")
    assert failed(quantized_checks(source, source, COMPARED)) == ["size of the original's", "layers packed into 4 bits"]


def test_a_changed_file_fails(tmp_path: Path) -> None:
    folder = write_llama(tmp_path / "a")
    write_manifest(folder, {})
    assert whole_result("NF4", folder).is_passed
    (folder / "config.json").write_text("{}")
    assert not whole_result("NF4", folder).is_passed


@pytest.mark.parametrize(
    ("answers", "is_passed"),
    [(["Anna is a baker."], True), (["Anna xx yy."], False), ([""], False), ([], False)],
)
def test_words(answers: list[str], is_passed: bool) -> None:
    assert words_check("NF4", answers, '{"text": "A baker is Anna"}').is_passed is is_passed
