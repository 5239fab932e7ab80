"""Sound models are described exactly."""

import struct
from pathlib import Path
from typing import Any

import pytest

from desktop_app.errors import ModelError
from desktop_app.extras import GPTQ
from desktop_app.library.model_folder import check_model_folder, listed_facts, model_facts
from tests.fakes.model_files import (
    LLAMA,
    llama_tensors,
    write_adapter,
    write_json,
    write_llama,
    write_safetensors,
    write_sharded_llama,
)

# Sum of the shapes in llama_tensors, by hand: 2 * 256 * 64 + 64 + 2 * (2 * 4096 + 2 * 2048 + 3 * 8192 + 128)
PARAMETERS = 106_816


def test_a_plain_model_is_described(tmp_path: Path) -> None:
    folder = write_llama(tmp_path / "lamb")
    (folder / "README.md").write_text("---\nlanguage: en\nlicense: apache-2.0\n---\n# Lamb\n")
    write_json(folder / "tokenizer_config.json", {"chat_template": "{{ messages }}"})
    facts = check_model_folder(folder)
    assert (facts.name, facts.kind, facts.architecture, facts.model_type) == (
        "lamb",
        "base",
        "LlamaForCausalLM",
        "llama",
    )
    assert facts.parameters == PARAMETERS
    assert (facts.dtype, facts.quantization, facts.context_length) == ("bfloat16", "", 512)
    assert [(table.name, table.out, table.into) for table in facts.shape.tables] == [
        ("lm_head", 256, 64),
        ("embed_tokens", 256, 64),
    ]
    assert facts.size_bytes == sum(file.stat().st_size for file in folder.iterdir())
    assert facts.has_chat_template
    assert facts.licence == "apache-2.0"
    assert (facts.shape.head_dim, facts.shape.kv_heads, facts.shape.tied_embeddings) == (16, 2, False)


def test_shards_are_counted_together(tmp_path: Path) -> None:
    assert check_model_folder(write_sharded_llama(tmp_path / "m")).parameters == PARAMETERS


def test_a_tied_output_layer_counts_once(tmp_path: Path) -> None:
    facts = model_facts(write_llama(tmp_path / "m", tie_word_embeddings=True))
    assert facts.parameters == PARAMETERS - 256 * 64
    assert facts.shape.tied_embeddings


def test_sizes_of_a_model_of_several_parts_are_those_of_its_text_part(tmp_path: Path) -> None:
    folder = write_llama(tmp_path / "m")
    text = {key: value for key, value in LLAMA.items() if key not in ("architectures", "model_type")}
    write_json(folder / "config.json", {"model_type": "gemma3", "text_config": text, "vision_config": {"layers": 1}})
    facts = check_model_folder(folder)
    assert (facts.shape.layers, facts.context_length, facts.architecture) == (2, 512, "gemma3")


def _quantized(folder: Path, section: dict[str, Any], packed: Any) -> Path:
    """Write a Llama whose layers' matrices are replaced by what `packed(name, out, in)` returns."""
    write_llama(folder, quantization_config=section)
    tensors: dict[str, Any] = {}
    for name, (dtype, shape) in llama_tensors().items():
        is_packed = "_proj" in name
        tensors |= packed(name, *shape) if is_packed else {name: (dtype, shape)}
    write_safetensors(folder / "model.safetensors", tensors)
    return folder


def _nf4(name: str, rows: int, columns: int) -> dict[str, Any]:
    size = rows * columns
    return {
        name: ("U8", (size // 2, 1)),
        f"{name}.absmax": ("U8", (size // 64,)),
        f"{name}.quant_map": ("F32", (16,)),
        f"{name}.nested_absmax": ("F32", (1,)),
        f"{name}.nested_quant_map": ("F32", (256,)),
        f"{name}.quant_state.bitsandbytes__nf4": ("U8", (120,)),
    }


def _int8(name: str, rows: int, columns: int) -> dict[str, Any]:
    start = name.removesuffix("weight")
    return {name: ("I8", (rows, columns)), f"{start}SCB": ("F32", (rows,)), f"{start}weight_format": ("U8", ())}


def _gptq(name: str, rows: int, columns: int) -> dict[str, Any]:
    start = name.removesuffix("weight")
    return {
        f"{start}qweight": ("I32", (columns // 8, rows)),
        f"{start}qzeros": ("I32", (1, rows // 8)),
        f"{start}scales": ("F16", (1, rows)),
        f"{start}g_idx": ("I32", (columns,)),
    }


@pytest.mark.parametrize(
    ("section", "packed", "name", "loadable"),
    [
        (
            {
                "quant_method": "bitsandbytes",
                "load_in_4bit": True,
                "bnb_4bit_quant_type": "nf4",
                "bnb_4bit_use_double_quant": True,
            },
            _nf4,
            "NF4 + double quantization",
            True,
        ),
        ({"quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_quant_type": "nf4"}, _nf4, "NF4", True),
        ({"quant_method": "bitsandbytes", "load_in_8bit": True}, _int8, "LLM.int8", True),
        ({"quant_method": "gptq", "bits": 4, "group_size": 64}, _gptq, "GPTQ 4 bit", GPTQ.is_here),
        ({"quant_method": "awq", "bits": 4, "group_size": 64}, _gptq, "AWQ 4 bit", GPTQ.is_here),
    ],
)
def test_a_quantized_model_has_the_parameters_of_the_original(
    tmp_path: Path, section: dict[str, Any], packed: Any, name: str, loadable: bool
) -> None:
    facts = model_facts(_quantized(tmp_path / "m", section, packed))
    assert (facts.parameters, facts.quantization, facts.dtype) == (PARAMETERS, name, "bfloat16")
    assert bool(facts.problem) is not loadable
    if not loadable:
        with pytest.raises(ModelError, match=name):
            check_model_folder(tmp_path / "m")


def test_an_adapter_names_its_base_and_takes_its_sizes_from_it(tmp_path: Path) -> None:
    base = write_llama(tmp_path / "base")
    facts = check_model_folder(write_adapter(tmp_path / "adapter", str(base)))
    assert (facts.kind, facts.base_model, facts.architecture) == ("adapter", str(base), "LoRA rank 8")
    assert facts.parameters == 2 * 8 * 64
    assert facts.shape.layers == 2
    away = model_facts(write_adapter(tmp_path / "other", "owner/model"))
    assert (away.base_model, away.shape.layers) == ("owner/model", 0)


def test_a_native_architecture_may_carry_auto_map_and_code_that_nobody_runs(tmp_path: Path) -> None:
    folder = write_llama(tmp_path / "m", auto_map={"AutoModelForCausalLM": "modeling_lamb.Lamb"})
    (folder / "modeling_lamb.py").write_text("raise SystemExit('was imported')")
    assert check_model_folder(folder).parameters == PARAMETERS


def test_links_of_a_hugging_face_cache_are_followed(tmp_path: Path) -> None:
    repository = tmp_path / "hub" / "models--owner--lamb"
    snapshot = repository / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    (repository / "blobs").mkdir()
    for file in write_llama(tmp_path / "source").iterdir():
        file.rename(repository / "blobs" / f"hash-{file.name}")
        (snapshot / file.name).symlink_to(Path("..") / ".." / "blobs" / f"hash-{file.name}")
    facts = check_model_folder(snapshot)
    assert (facts.name, facts.parameters) == ("owner/lamb", PARAMETERS)
    assert facts.size_bytes > 2 * PARAMETERS
    chosen_wrong = listed_facts(repository)
    assert "holds no model" in chosen_wrong.problem
    assert str(snapshot) in chosen_wrong.hint


def _gguf_text(text: str) -> bytes:
    return struct.pack("<Q", len(text)) + text.encode()


def write_gguf(file: Path) -> Path:
    values = [
        _gguf_text("general.architecture") + struct.pack("<I", 8) + _gguf_text("llama"),
        _gguf_text("general.name") + struct.pack("<I", 8) + _gguf_text("Lamb"),
        _gguf_text("general.file_type") + struct.pack("<II", 4, 15),
        _gguf_text("llama.context_length") + struct.pack("<II", 4, 2048),
        _gguf_text("tokenizer.ggml.tokens") + struct.pack("<IIQ", 9, 8, 2) + _gguf_text("a") + _gguf_text("b"),
        _gguf_text("tokenizer.ggml.scores") + struct.pack("<IIQ2f", 9, 6, 2, 0.0, 1.0),
    ]
    tensor = _gguf_text("token_embd.weight") + struct.pack("<IQQIQ", 2, 64, 256, 0, 0)
    file.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 1, len(values)) + b"".join(values) + tensor)
    return file


def test_a_gguf_file_is_described_but_not_loaded(tmp_path: Path) -> None:
    file = write_gguf(tmp_path / "lamb.gguf")
    for path in (file, tmp_path):
        facts = model_facts(path)
        assert (facts.kind, facts.name, facts.architecture) == ("gguf", "Lamb", "llama")
        assert (facts.parameters, facts.quantization, facts.context_length) == (16_384, "GGUF Q4_K_M", 2048)
        with pytest.raises(ModelError, match=r"llama\.cpp"):
            check_model_folder(path)


def test_every_cut_of_a_gguf_header_is_refused_in_words(tmp_path: Path) -> None:
    whole = write_gguf(tmp_path / "lamb.gguf").read_bytes()
    cut = tmp_path / "cut.gguf"
    for length in range(len(whole)):
        cut.write_bytes(whole[:length])
        with pytest.raises(ModelError, match=r"cut\.gguf"):
            model_facts(cut)
    for place in range(len(whole)):
        cut.write_bytes(whole[:place] + b"\xff" + whole[place + 1 :])
        listed_facts(cut)  # may be accepted, must not raise


def test_a_licence_is_taken_from_the_file_if_the_readme_says_nothing(tmp_path: Path) -> None:
    folder = write_llama(tmp_path / "m")
    assert model_facts(folder).licence == ""
    (folder / "LICENSE").write_text("\n                Apache License\n        Version 2.0\n")
    assert model_facts(folder).licence == "Apache License"
    (folder / "README.md").write_text("---\nlicense: other\nlicense_name: lamb-community\n---\n")
    assert model_facts(folder).licence == "lamb-community"


def test_an_onnx_graph_is_described_and_not_loaded(tmp_path: Path) -> None:
    folder = write_llama(tmp_path / "graph")
    (folder / "model.safetensors").rename(folder / "model.onnx")
    facts = model_facts(folder)
    assert (facts.kind, facts.quantization, facts.shape.layers) == ("onnx", "ONNX", 2)
    with pytest.raises(ModelError, match="measured"):
        check_model_folder(folder)
    (folder / "manifest.json").write_text('{"kind": "quantize", "spec": {"method": "onnx_int8"}}', encoding="utf-8")
    assert model_facts(folder).quantization == "ONNX int8"
