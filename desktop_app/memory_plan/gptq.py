"""What GPTQ needs: memory where it computes and in RAM, and a time told before Start, for it takes long.

It goes through the model block by block: a text runs through the block once for each group of layers and once more,
then each layer's columns are quantized one after the other, mended by the inverse of (inputs × inputs) sums.
"""

from collections.abc import Iterator

from desktop_app.domain.machine import MachineSample
from desktop_app.domain.model_facts import Matrix, ModelFacts
from desktop_app.domain.quantize_method import QuantizeMethod
from desktop_app.domain.quantize_spec import QuantizeSpec
from desktop_app.domain.quantized_size import (
    CALIBRATION_TOKENS,
    GPTQ_TOGETHER,
    TEXT_ROWS,
    fits_gptq,
    linear_layers,
    quantized_bytes,
)

from .duration import Duration, device_operations, guessed, words_of
from .terms import Term

# The sums, a copy with damping, its factor, the inverse and the inverse's factor, 4 bytes each.
_SUMS_BYTES = 20
_MEASURED = "Measured with models of 30 and 110 million parameters on a processor; larger ones extrapolated."
# Seconds of Python for each column of a layer, whatever its height.
_COLUMN_S = 0.0015
_LIBRARIES_S = 15
_SPREAD = 3.0
_OUR_TOKENS = 3_000


def gptq_terms(spec: QuantizeSpec, facts: ModelFacts, is_gpu: bool) -> list[Term]:
    """Return what GPTQ needs where it computes: on a GPU a block at a time, otherwise with the model's weights."""
    shape = facts.shape
    widest = max((each.into for each in _taken(spec, facts)), default=0)
    tokens = text_tokens(spec)
    layer = sum(each.weights for each in linear_layers(shape)) // max(1, shape.layers)
    together = max(map(len, GPTQ_TOGETHER))
    return [
        *([] if is_gpu else packed_in_ram(spec, "gptq", facts)),
        Term(
            name="Block",
            bytes=8 * layer,
            formula=f"{layer:,} weights × 8 bytes: in 16 bits, and what is worked on in 32",
        ),
        Term(
            name="Sums",
            bytes=together * _SUMS_BYTES * widest**2,
            formula=f"{together} × {widest:,} × {widest:,} inputs × {_SUMS_BYTES} bytes",
        ),
        Term(
            name="Activations",
            bytes=4 * tokens * shape.hidden_size,
            formula=f"{tokens:,} tokens × {shape.hidden_size:,} values × 2 × 2 bytes, before and after a block",
        ),
    ]


def packed_in_ram(spec: QuantizeSpec, method: QuantizeMethod, facts: ModelFacts) -> list[Term]:
    """Return what GPTQ and AWQ keep in RAM wherever they compute: the model, and its packed layers beside it."""
    packed = quantized_bytes(spec, method, facts)
    return [
        Term(name="Weights", bytes=2 * facts.parameters, formula=f"{facts.parameters:,} weights × 2 bytes"),
        Term(name="Packed", bytes=packed, formula="the result, beside them"),
    ]


def gptq_duration(
    spec: QuantizeSpec, facts: ModelFacts, sample: MachineSample, is_gpu: bool, work_bytes: int = 0
) -> Duration | None:
    """Expect the time of a run; None where no layer can be taken. A short text takes less."""
    matrices = tuple(_taken(spec, facts))
    if not matrices:
        return None
    tokens = text_tokens(spec)
    weights = sum(each.weights for each in matrices)
    # Two operations for each weight and token; each group's pass and the one after them, twice for the original.
    operations = 2.0 * weights * tokens * (_groups(matrices) + 2)
    columns = 0
    for each in matrices:
        columns += each.into * each.count
        sums = 2 * tokens * each.into**2 + 2 * each.into**3
        operations += each.count * (sums + each.out * each.into**2)
    rate = device_operations(sample, spec.threads, is_gpu)
    seconds = _LIBRARIES_S + operations / rate + columns * _COLUMN_S
    words = f"{operations:.2g} operations ÷ {rate:.2g} per second + {columns:,} columns × {_COLUMN_S} s"
    return guessed(seconds, _SPREAD, work_bytes, f"{_LIBRARIES_S} s + {words}: {words_of('guess', is_training=False)}")


def text_tokens(spec: QuantizeSpec) -> int:
    """As many as are read at most of a text of the user's; ours has about three thousand."""
    return TEXT_ROWS * CALIBRATION_TOKENS if spec.calibration_data else _OUR_TOKENS


def _taken(spec: QuantizeSpec, facts: ModelFacts) -> Iterator[Matrix]:
    return (each for each in linear_layers(facts.shape) if fits_gptq(each.out, each.into, spec.group_size))


def _groups(matrices: tuple[Matrix, ...]) -> int:
    """How many groups of layers a block has."""
    names = [each.name.rpartition(".")[2] for each in matrices]
    return len({next((together for together in GPTQ_TOGETHER if name in together), name) for name in names})
