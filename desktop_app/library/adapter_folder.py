"""Read an adapter's `adapter_config.json` and refuse one whose settings would import code.

peft imports the modules that `auto_mapping` and the megatron settings name.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from desktop_app.errors import ModelError

from .json_file import read_json_object, shown
from .model_config import refuse_foreign_code

ADAPTER_CONFIG = "adapter_config.json"
_MAX_CONFIG_BYTES = 2 * 1024 * 1024
_HINT = "Get the adapter from a source that you trust, or save it again with peft for a causal language model."


@dataclass(frozen=True, slots=True, kw_only=True)
class AdapterConfig:
    """What adapter_config.json says: the kind by peft's name ('LORA'), its rank, and the model it belongs to."""

    kind: str
    rank: int
    base_model: str


def read_adapter_config(folder: Path) -> AdapterConfig:
    """Read and check `adapter_config.json`.

    Raises:
        ModelError: it is unreadable or damaged, names no kind or no base model, or would import code.
    """
    raw = read_json_object(folder / ADAPTER_CONFIG, _MAX_CONFIG_BYTES)
    refuse_foreign_code(raw, ADAPTER_CONFIG)
    _refuse_imports(raw)
    kind, base, rank = raw.get("peft_type"), raw.get("base_model_name_or_path"), raw.get("r", 0)
    if not isinstance(kind, str) or not kind:
        raise ModelError(f"{ADAPTER_CONFIG} names no kind of adapter (peft_type is {shown(kind)}).", _HINT)
    if not isinstance(base, str) or not base:
        raise ModelError(
            f"{ADAPTER_CONFIG} does not name the model it belongs to (base_model_name_or_path is {shown(base)}).",
            "Write the folder of that model there.",
        )
    if not isinstance(rank, int) or isinstance(rank, bool) or not 0 <= rank <= 65_536:
        raise ModelError(f"{ADAPTER_CONFIG}: r is {shown(rank)}; it must be between 1 and 65,536.", _HINT)
    return AdapterConfig(kind=kind[:40], rank=rank, base_model=base)


def _refuse_imports(raw: dict[str, Any]) -> None:
    harmless = {"auto_mapping": (None,), "megatron_config": (None,), "megatron_core": (None, "megatron.core")}
    for key, values in harmless.items():
        if raw.get(key) not in values:
            raise ModelError(f"{ADAPTER_CONFIG}: {key} would import code: {shown(raw[key])}.", _HINT)
