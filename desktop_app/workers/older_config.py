"""Lets transformers 4 read a config.json that transformers 5 wrote.

Version 5 moved the settings of rotary embeddings into `rope_parameters`; version 4 does not look there and takes its
default of 10,000 for the base without a word: a model of long context then writes nonsense. So they stand twice.
"""

import json
from pathlib import Path
from typing import Any

_FILE = "config.json"
# transformers 5's names for the kinds of layers of one model, with version 4's name for the base of each.
_BASES = {"full_attention": "rope_theta", "sliding_attention": "rope_local_base_freq"}
_SHARE = "partial_rotary_factor"
_LONG = ("short_factor", "long_factor")


def keep_older_names(folder: Path) -> None:
    """Repeat the rotary settings of a model's config where transformers 4 looks for them; what stands there stays."""
    file = folder / _FILE
    config = json.loads(file.read_text(encoding="utf-8"))
    for part in (config, config.get("text_config")):
        if isinstance(part, dict) and isinstance(part.get("rope_parameters"), dict):
            for name, value in _older(part["rope_parameters"], part.get("model_type")).items():
                part.setdefault(name, value)
    file.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def _older(rope: dict[str, Any], model_type: object) -> dict[str, Any]:
    by_layer = {kind: rope[kind] for kind in _BASES if isinstance(rope.get(kind), dict)}
    if by_layer:
        bases = {_BASES[kind]: own["rope_theta"] for kind, own in by_layer.items() if "rope_theta" in own}
        return bases | _scaling(by_layer.get("full_attention", {}))
    base, share = ("rotary_emb_base", "rotary_pct") if model_type == "gpt_neox" else ("rope_theta", _SHARE)
    older = {base: rope.get("rope_theta"), share: rope.get(_SHARE)}
    return {name: value for name, value in older.items() if value is not None} | _scaling(rope)


def _scaling(rope: dict[str, Any]) -> dict[str, Any]:
    kind = rope.get("rope_type", "default")
    if kind == "default":
        return {}
    if kind == "longrope":  # Phi 3 takes these three and no other
        return {"rope_scaling": {"type": kind} | {name: rope[name] for name in _LONG if name in rope}}
    return {"rope_scaling": {name: value for name, value in rope.items() if name not in ("rope_theta", _SHARE)}}
