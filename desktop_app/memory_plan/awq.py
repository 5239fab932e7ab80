"""What AWQ needs: memory where it computes and in RAM, and a time told before Start, for it takes longer than GPTQ.

Block by block a text runs through groups of layers, once for each of twenty scales that are tried; then bounds to clip
the weights at are tried, ten for each group of weights, on some of the text.
"""

from desktop_app.domain.machine import MachineSample
from desktop_app.domain.model_facts import ModelFacts
from desktop_app.domain.quantize_spec import QuantizeSpec
from desktop_app.domain.quantized_size import linear_layers

from .duration import Duration, device_operations, guessed
from .gptq import packed_in_ram, text_tokens
from .terms import Term

# NOTE: as in gptqmodel's AWQProcessor: scales tried, groups of layers in a block that each run it in parts, outputs
# whose bounds are sought together, and tokens looked at for them.
_SCALES = 20
_CLIPPED_TOGETHER = 256
_CLIP_TOKENS = 512
_LIBRARIES_S = 15
_MEASURED = "Measured with a model of 1.7 million parameters on a processor; larger ones extrapolated."
# Of the search for bounds, which memory's speed limits; a GPU's is a guess by that.
_CLIP_S_A_WEIGHT = 25e-6
_CLIP_S_A_WEIGHT_GPU = 1e-6
_SPREAD = 4.0


def awq_terms(spec: QuantizeSpec, facts: ModelFacts, is_gpu: bool) -> list[Term]:
    """Return what AWQ needs where it computes: on a GPU a block at a time, otherwise with the model's weights."""
    layers = linear_layers(facts.shape)
    shape, tokens = facts.shape, text_tokens(spec)
    block = sum(each.weights for each in layers) // max(1, shape.layers)
    widest = max((each.into for each in layers), default=0)
    read = sum(each.into * each.count for each in layers) // max(1, shape.layers)
    looked_at = tokens // max(1, tokens // _CLIP_TOKENS)
    return [
        *([] if is_gpu else packed_in_ram(spec, "awq", facts)),
        Term(name="Block", bytes=6 * block, formula=f"{block:,} weights × 3 × 2 bytes: kept, scaled and tried"),
        Term(
            name="Activations",
            bytes=2 * tokens * (read + 4 * shape.hidden_size),
            formula=f"{tokens:,} tokens × ({read:,} inputs of a block's layers + 4 × {shape.hidden_size:,}) × 2 bytes",
        ),
        Term(
            name="Clipping",
            bytes=4 * _CLIPPED_TOGETHER * looked_at * widest,
            formula=f"{_CLIPPED_TOGETHER} outputs × {looked_at:,} tokens × {widest:,} inputs × 2 × 2 bytes",
            source=_MEASURED,
        ),
    ]


def awq_duration(
    spec: QuantizeSpec, facts: ModelFacts, sample: MachineSample, is_gpu: bool, work_bytes: int = 0
) -> Duration:
    """Expect the time of a run. A short text takes less."""
    weights = sum(each.weights for each in linear_layers(facts.shape))
    # Two operations for each weight and token; every scale runs about what a block is, and attention with it.
    operations = 2.0 * weights * text_tokens(spec) * (_SCALES + 2)
    rate = device_operations(sample, spec.threads, is_gpu)
    clip_s = _CLIP_S_A_WEIGHT_GPU if is_gpu else _CLIP_S_A_WEIGHT
    seconds = _LIBRARIES_S + operations / rate + weights * clip_s
    words = f"{operations:.2g} operations ÷ {rate:.2g} per second + {weights:,} weights × {clip_s:.0e} s"
    return guessed(seconds, _SPREAD, work_bytes, f"{_LIBRARIES_S} s + {words}. {_MEASURED}")
