"""Old weights become safetensors value for value; a pickle that means harm is refused and nothing of it runs."""

import json
import os
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from desktop_app.library.model_folder import check_model_folder, listed_facts
from desktop_app.result_folder import manifest_problems
from tests.fakes.model_files import LLAMA, write_adapter, write_json, write_llama
from tests.workers.running import Ran, run_job

Tensors = dict[str, torch.Tensor]


def weights(tied: bool = False) -> Tensors:
    """Random weights of the tiny Llama, of three types, one shared and one not contiguous."""
    torch.manual_seed(3)
    shapes = {"model.embed_tokens.weight": (256, 64), "model.norm.weight": (64,), "lm_head.weight": (256, 64)}
    tensors = {name: torch.randn(shape).to(torch.bfloat16) for name, shape in shapes.items()}
    tensors["model.layers.0.mlp.up_proj.weight"] = torch.randn(64, 128).T
    tensors["model.layers.0.mlp.scale"] = torch.tensor(3.5, dtype=torch.float16)
    if tied:
        tensors["lm_head.weight"] = tensors["model.embed_tokens.weight"]
    return tensors


def old_model(folder: Path, tensors: Tensors | None = None, **how: bool) -> Path:
    folder.mkdir(parents=True)
    write_json(folder / "config.json", LLAMA)
    (folder / "README.md").write_text("---\nlicense: mit\n---\n")
    (folder / "modeling.py").write_text("raise SystemExit")
    torch.save(OrderedDict(tensors or weights()), folder / "pytorch_model.bin", **how)
    return folder


def convert(tmp_path: Path, model: Path) -> Ran:
    return run_job(tmp_path, kind="convert", model=str(model), threads=1)


@pytest.mark.parametrize("zipped", [True, False])
def test_names_shapes_types_and_values_are_kept(tmp_path: Path, zipped: bool) -> None:
    model = old_model(tmp_path / "lamb", weights(tied=True), _use_new_zipfile_serialization=zipped)
    assert "pytorch_model.bin" in listed_facts(model).problem
    ran = convert(tmp_path, model)
    read = load_file(ran.result / "model.safetensors")
    wanted = weights(tied=True)
    assert read.keys() == wanted.keys()
    for name, tensor in wanted.items():
        assert read[name].dtype == tensor.dtype and torch.equal(read[name], tensor), name
    assert ran.last.summary["copied_shared_tensors"] == 1
    assert "5 read back" in ran.last.checks["tensors"]
    assert sorted(path.name for path in ran.result.iterdir()) == [
        "README.md", "config.json", "manifest.json", "model.safetensors",
    ]  # fmt: skip
    assert check_model_folder(ran.result).licence == "mit"
    assert manifest_problems(ran.result) == []


def test_shards_and_adapters(tmp_path: Path) -> None:
    model = old_model(tmp_path / "lamb")
    (model / "pytorch_model.bin").unlink()
    tensors = list(weights().items())
    parts = {"pytorch_model-00001-of-00002.bin": tensors[:2], "pytorch_model-00002-of-00002.bin": tensors[2:]}
    for name, part in parts.items():
        torch.save(dict(part), model / name)
    weight_map = {tensor: name for name, part in parts.items() for tensor, _ in part}
    write_json(model / "pytorch_model.bin.index.json", {"weight_map": weight_map})
    ran = convert(tmp_path, model)
    index = json.loads((ran.result / "model.safetensors.index.json").read_text())
    assert set(index["weight_map"].values()) == {f"model-0000{n}-of-00002.safetensors" for n in (1, 2)}
    assert check_model_folder(ran.result).problem == ""

    adapter = write_adapter(tmp_path / "adapter", str(model))
    torch.save(load_file(adapter / "adapter_model.safetensors"), adapter / "adapter_model.bin")
    (adapter / "adapter_model.safetensors").unlink()
    ran = convert(tmp_path, adapter)
    assert check_model_folder(ran.result).kind == "adapter"


class _Runs:
    """A pickle of this asks for a call."""

    def __init__(self, function: Callable[..., object], *arguments: object) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return self.call


def _as_plain_pickle(file: Path, content: object) -> None:
    file.write_bytes(pickle.dumps(content))


def _as_old_pickle(file: Path, content: object) -> None:
    file.write_bytes(pickle.dumps(content, protocol=2))


def _as_torch_file(file: Path, content: object) -> None:
    torch.save(content, file)


@pytest.mark.parametrize("write", [_as_plain_pickle, _as_old_pickle, _as_torch_file])
@pytest.mark.parametrize(
    "harm",
    [
        lambda canary: _Runs(os.system, f"touch {canary}"),
        lambda canary: {"a": torch.zeros(2), "b": _Runs(open, canary, "w")},
        lambda canary: _Runs(eval, f"open({canary!r}, 'w')"),
        lambda canary: _Runs(__import__("subprocess").check_call, ["touch", canary]),
        lambda canary: _Runs(torch.load, canary),
        lambda canary: _Runs(getattr, _Runs(__import__, "os"), "getpid"),
    ],
)
def test_a_pickle_that_means_harm_is_refused_in_words_and_nothing_ran(
    tmp_path: Path, harm: Callable[[str], object], write: Callable[[Path, object], None]
) -> None:
    canary = tmp_path / "canary"
    model = old_model(tmp_path / "lamb")
    write(model / "pytorch_model.bin", harm(str(canary)))
    ran = convert(tmp_path, model)
    assert (ran.code, ran.last.kind, ran.last.error) == (2, "failed", "model")
    what = "holds more than tensors" if write is _as_plain_pickle else "asks for "
    assert ran.last.message.startswith(f"pytorch_model.bin is refused: it {what}"), ran.last.message
    assert "Nothing of it was run" in ran.last.message and "Do not use this file" in ran.last.hint
    assert not canary.exists()
    assert not (ran.folder.path / "result").exists()


def _shortened(file: Path) -> None:
    os.truncate(file, file.stat().st_size // 2)


def _bomb(file: Path) -> None:
    """A tensor of 2 TB by its description."""
    torch.save({"a": torch.zeros(1).expand(2**39)}, file)


def _without_data(file: Path) -> None:
    with zipfile.ZipFile(file) as whole, zipfile.ZipFile(file.with_suffix(".new"), "w") as cut:
        for name in whole.namelist():
            if not name.endswith("data/0"):
                cut.writestr(name, whole.read(name))
    file.with_suffix(".new").rename(file)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_shortened, "cannot be read"),
        (lambda file: file.write_bytes(b"PK\x03\x04" + b"\0" * 999), "cannot be read"),
        (lambda file: file.write_bytes(b""), "cannot be read"),
        (_without_data, "cannot be read"),
        (lambda file: torch.save([torch.zeros(2)], file), "holds a list, not tensors"),
        (lambda file: torch.save({"a": torch.zeros(2), "b": "text"}, file), "holds 'b': a str"),
        (lambda file: torch.save({1: torch.zeros(2)}, file), "holds 1: a Tensor"),
        (_bomb, "describes tensors of 2,199,023,255,552"),
    ],
)
def test_what_is_damaged_or_no_weights_is_told(tmp_path: Path, spoil: Callable[[Path], object], said: str) -> None:
    model = old_model(tmp_path / "lamb")
    spoil(model / "pytorch_model.bin")
    ran = convert(tmp_path, model)
    assert ran.last.kind == "failed" and said in ran.last.message, ran.last
    assert not (ran.folder.path / "result").exists()


def test_an_index_that_leads_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    model = old_model(tmp_path / "lamb")
    for target in ("../x.bin", "/etc/passwd", "..\\x.bin", "C:x.bin", "x.safetensors"):
        write_json(model / "pytorch_model.bin.index.json", {"weight_map": {"a": target}})
        assert "is no file of this folder" in convert(tmp_path, model).last.message


def test_there_must_be_old_weights(tmp_path: Path) -> None:
    ran = convert(tmp_path, write_llama(tmp_path / "new"))
    assert "holds no pytorch_model.bin" in ran.last.message
