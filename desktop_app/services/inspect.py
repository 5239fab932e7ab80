"""The service that looks at files which somebody else made, so that none of them can bring down the window."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from desktop_app.library import model_folder
from desktop_app.library.catalogue import find_model_folders

from . import data_inspection

MEMORY_BYTES = 2 * 1024**3
_SHOWN_COLUMNS = 200


def model_facts(path: str) -> dict[str, Any]:
    """Describe one model; the answer is a ModelFacts.

    Raises:
        ModelError: as `library.model_folder.model_facts`.
    """
    return model_folder.model_facts(Path(path)).model_dump(mode="json")


def listed_facts(path: str) -> dict[str, Any]:
    """Describe one model for a list, what is wrong with it included; the answer is a ModelFacts."""
    return model_folder.listed_facts(Path(path)).model_dump(mode="json")


def scan(roots: list[str]) -> list[dict[str, Any]]:
    """Find and describe all models below some folders; the answer is a list of ModelFacts."""
    return [listed_facts(str(path)) for path in find_model_folders([Path(root) for root in roots])]


METHODS: dict[str, Callable[..., Any]] = {
    "model_facts": model_facts,
    "listed_facts": listed_facts,
    "scan": scan,
    **data_inspection.METHODS,
}
