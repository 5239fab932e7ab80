"""Extras are found without being imported, and those that are missing are told with the command that gets them."""

import json
import sys
from pathlib import Path

import pytest

from desktop_app.extras import GPTQ, LLAMA_CPP, Extra, missing_extra
from desktop_app.library.model_folder import listed_facts
from tests.fakes.model_files import write_llama


def test_an_extra_is_here_if_python_would_find_it() -> None:
    assert Extra(name="x", package="json").is_here
    assert not Extra(name="x", package="no_such_package_of_anyone").is_here
    assert missing_extra("") == ""


@pytest.mark.skipif(GPTQ.is_here, reason="gptqmodel is installed")
def test_the_command_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    command = "python3 build/dev.py extra gptq"
    assert missing_extra("gptq") == f"needs gptqmodel, which is not installed; install it by {command}"
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    assert missing_extra("gptq").endswith(f"run the program from its source, and there {command}")


def test_names_are_those_that_dev_py_takes() -> None:
    import tomllib

    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert {GPTQ.name, LLAMA_CPP.name} == project["optional-dependencies"].keys()


@pytest.mark.skipif(GPTQ.is_here, reason="gptqmodel is installed")
def test_a_model_that_only_an_extra_opens_names_it(tmp_path: Path) -> None:
    config = {"quant_method": "gptq", "bits": 4, "group_size": 64}
    facts = listed_facts(write_llama(tmp_path / "small", quantization_config=config))
    assert facts.problem == f"The model is quantized by GPTQ 4 bit, which {missing_extra('gptq')}."
    assert json.loads((tmp_path / "small" / "config.json").read_text())["quantization_config"] == config
