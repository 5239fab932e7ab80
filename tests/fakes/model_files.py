"""Write model folders byte by byte, sound or broken, without any library that could correct them."""

import hashlib
import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

BYTES = {"F32": 4, "BF16": 2, "F16": 2, "U8": 1, "I8": 1, "I32": 4}
LLAMA = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 256,
    "max_position_embeddings": 512,
    "tie_word_embeddings": False,
    "dtype": "bfloat16",
}


def header_bytes(entries: object) -> bytes:
    """Return a safetensors file's beginning: length and JSON."""
    text = json.dumps(entries).encode()
    return struct.pack("<Q", len(text)) + text


def write_safetensors(file: Path, tensors: Mapping[str, tuple[str, tuple[int, ...]]]) -> None:
    """Write a file of zeros with the given tensors: name to (dtype, shape)."""
    entries: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    reached = 0
    for name, (dtype, shape) in tensors.items():
        size = BYTES[dtype]
        for length in shape:
            size *= length
        entries[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [reached, reached + size]}
        reached += size
    with file.open("wb") as stream:
        stream.write(header_bytes(entries))
        stream.truncate(stream.tell() + reached)


def llama_tensors(config: Mapping[str, Any] = LLAMA, dtype: str = "BF16") -> dict[str, tuple[str, tuple[int, ...]]]:
    """Name and shape of every tensor of a Llama of these sizes."""
    hidden, middle, vocab = config["hidden_size"], config["intermediate_size"], config["vocab_size"]
    keys = hidden // config["num_attention_heads"] * config["num_key_value_heads"]
    tensors: dict[str, tuple[str, tuple[int, ...]]] = {"model.embed_tokens.weight": (dtype, (vocab, hidden))}
    for layer in range(config["num_hidden_layers"]):
        start = f"model.layers.{layer}."
        for name, shape in {
            "self_attn.q_proj": (hidden, hidden),
            "self_attn.k_proj": (keys, hidden),
            "self_attn.v_proj": (keys, hidden),
            "self_attn.o_proj": (hidden, hidden),
            "mlp.gate_proj": (middle, hidden),
            "mlp.up_proj": (middle, hidden),
            "mlp.down_proj": (hidden, middle),
            "input_layernorm": (hidden,),
            "post_attention_layernorm": (hidden,),
        }.items():
            tensors[f"{start}{name}.weight"] = (dtype, shape)
    tensors["model.norm.weight"] = (dtype, (hidden,))
    if not config["tie_word_embeddings"]:
        tensors["lm_head.weight"] = (dtype, (vocab, hidden))
    return tensors


def write_json(file: Path, value: object) -> None:
    """Write `value` as JSON."""
    file.write_text(json.dumps(value), encoding="utf-8")


def write_llama(folder: Path, **changes: Any) -> Path:
    """Write a sound Llama folder of zeros; `changes` go into its config."""
    folder.mkdir(parents=True, exist_ok=True)
    config = {**LLAMA, **changes}
    write_json(folder / "config.json", config)
    write_safetensors(folder / "model.safetensors", llama_tensors())
    return folder


def write_sharded_llama(folder: Path) -> Path:
    """Write a sound Llama folder in two shards with an index."""
    write_llama(folder)
    (folder / "model.safetensors").unlink()
    tensors = llama_tensors()
    names = list(tensors)
    shards = {"model-00001-of-00002.safetensors": names[:9], "model-00002-of-00002.safetensors": names[9:]}
    for shard, held in shards.items():
        write_safetensors(folder / shard, {name: tensors[name] for name in held})
    weight_map = {name: shard for shard, held in shards.items() for name in held}
    write_json(folder / "model.safetensors.index.json", {"metadata": {}, "weight_map": weight_map})
    return folder


def write_adapter(folder: Path, base: str, **changes: Any) -> Path:
    """Write a sound LoRA adapter folder of rank 8; `changes` go into its config."""
    folder.mkdir(parents=True, exist_ok=True)
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base,
        "r": 8,
        "lora_alpha": 16,
        "target_modules": ["q_proj"],
        "auto_mapping": None,
        "megatron_config": None,
        "megatron_core": "megatron.core",
    }
    write_json(folder / "adapter_config.json", {**config, **changes})
    name = "base_model.model.model.layers.0.self_attn.q_proj.lora_"
    write_safetensors(
        folder / "adapter_model.safetensors", {f"{name}A.weight": ("F32", (8, 64)), f"{name}B.weight": ("F32", (64, 8))}
    )
    return folder


def add_to_ollama(store: Path, name: str, content: bytes) -> Path:
    """Put a GGUF file into an Ollama store under a name HOST/NAMESPACE/MODEL/TAG; return its blob."""
    digest = hashlib.sha256(content).hexdigest()
    blob = store / "blobs" / f"sha256-{digest}"
    manifest = store / "manifests" / name
    for file, written in ((blob, content), (manifest, ollama_manifest(f"sha256:{digest}"))):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(written)
    return blob


def ollama_manifest(digest: str) -> bytes:
    """Return a manifest of one model layer, as Ollama writes it."""
    layers = [
        {"mediaType": "application/vnd.ollama.image.template", "digest": "sha256:" + "1" * 64, "size": 10},
        {"mediaType": "application/vnd.ollama.image.model", "digest": digest, "size": 100},
    ]
    kind = "application/vnd.docker.distribution.manifest.v2+json"
    return json.dumps({"schemaVersion": 2, "mediaType": kind, "layers": layers}).encode()


def gguf_bytes(tensors: Mapping[str, tuple[int, ...]] = {"token_embd.weight": (64, 256)}, **values: object) -> bytes:
    """Return the header of a GGUF file of version 3 with text and whole-number values; no data follows."""
    entries = {"general.architecture": "llama", "llama.context_length": 2048, **values}
    body = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(entries))
    for key, value in entries.items():
        body += _gguf_text(key)
        body += struct.pack("<I", 8) + _gguf_text(value) if isinstance(value, str) else struct.pack("<II", 4, value)
    for name, shape in tensors.items():
        body += _gguf_text(name) + struct.pack(f"<I{len(shape)}Q", len(shape), *shape) + struct.pack("<IQ", 0, 0)
    return body


def _gguf_text(text: str) -> bytes:
    raw = text.encode()
    return struct.pack("<Q", len(raw)) + raw
