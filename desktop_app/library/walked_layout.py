"""What a worker found when it built a model without weights, by its config: for families that are not counted here.

One small JSON file for each config, named by its hash; it may be lost at any time. A walk that failed is kept too, so
that it is told and not tried again and again.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from desktop_app import paths
from desktop_app.domain.model_facts import Matrix
from desktop_app.domain.value import Value
from desktop_app.durable_file import write_synced

_MOST_BYTES = 4_000_000


class WalkedLayout(Value):
    """The matrices of the layers and all weights; `problem` says why there are none."""

    matrices: tuple[Matrix, ...] = ()
    parameters: int = 0
    problem: str = ""


def walked_layout(config: Mapping[str, Any]) -> WalkedLayout | None:
    """Return what was found for a parsed `config.json`; None if nobody has looked yet."""
    file = _file(config)
    try:
        if file.stat().st_size > _MOST_BYTES:
            return None
        return WalkedLayout.model_validate_json(file.read_bytes())
    except (OSError, ValidationError):
        return None


def keep_walk(config: Mapping[str, Any], found: WalkedLayout) -> None:
    """Keep what was found.

    Raises:
        OSError: it cannot be written.
    """
    paths.make_private_dir(paths.walks_dir())
    write_synced(_file(config), found.model_dump_json())


def _file(config: Mapping[str, Any]) -> Path:
    text = json.dumps(config, sort_keys=True)
    return paths.walks_dir() / f"{hashlib.sha256(text.encode()).hexdigest()}.json"
