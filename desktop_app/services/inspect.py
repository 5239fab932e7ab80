"""The service that looks at files which somebody else made, so that none of them can bring down the window."""

from collections.abc import Callable
from typing import Any

from . import bundle_inspection, data_inspection, model_inspection

MEMORY_BYTES = 2 * 1024**3

METHODS: dict[str, Callable[..., Any]] = {
    **model_inspection.METHODS,
    **data_inspection.METHODS,
    **bundle_inspection.METHODS,
}
