"""What a maker of quantized copies hands back for each of them: a check of what it wrote, to be run on the files."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from desktop_app.domain.model_facts import ModelFacts
from desktop_app.domain.quantize_method import QuantizeMethod
from desktop_app.domain.quantize_spec import QuantizeSpec

from .reporter import Reporter


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What was found on the disk. `errors`: relative error by layer, of those that were quantized; `kept`: the others.

    `findings`: what was checked, with its finding, by the name of the check.
    """

    errors: Mapping[str, float]
    kept: tuple[str, ...] = ()
    findings: Mapping[str, str] = field(default_factory=dict)


# Reads a written folder back and compares it with the source; raises StorageError if it is not what it should be.
Check = Callable[[Path], Checked]
# Writes one copy into each of the folders, all in one pass over the source; they exist and are empty, or hold what an
# earlier attempt left there. Heeds the reporter. Tokenizer, generation config and licence are put beside them later.
Maker = Callable[
    [QuantizeSpec, Path, ModelFacts, Mapping[QuantizeMethod, Path], Reporter], Mapping[QuantizeMethod, Check]
]
