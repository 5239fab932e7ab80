"""How large a quantized copy will be, from the model's sizes alone: the preview before Start."""

from collections.abc import Callable

from .model_facts import Matrix, ModelFacts, ModelShape
from .quantize_method import METHODS, QuantizeMethod, is_four_bit_block
from .quantize_spec import QuantizeSpec, bits_per_weight

# How long the rows are that a model reads of a calibration text; how many of them GPTQ and AWQ read at most, and layers
# that GPTQ quantizes together, as they read the same.
CALIBRATION_TOKENS = 512
TEXT_ROWS = 64
GPTQ_TOGETHER = (("q_proj", "k_proj", "v_proj"), ("gate_proj", "up_proj"))


def quantized_bytes(spec: QuantizeSpec, method: QuantizeMethod, facts: ModelFacts) -> int:
    """Estimate the size of the weight file of a copy; exact for Llama-like models but for its header."""
    how = METHODS[method]
    beside = min(facts.parameters, embedding_weights(facts.shape))
    linear = facts.parameters - beside
    packed = linear
    if is_four_bit_block(method):
        packed = int(linear * fitting_share(facts.shape, spec.block_size))
    elif method == "gptq":
        packed = int(linear * gptq_share(facts.shape, spec.group_size))
    elif method == "awq":
        packed = int(linear * _share(facts.shape, lambda out, into: fits_awq(out, into, spec.group_size)))
    plain = linear - packed
    embedding_bits = 16.0 if spec.keep_embeddings else how.embedding_bits
    return int((packed * bits_per_weight(spec, method) + plain * 16 + beside * embedding_bits) / 8)


def temporary_bytes(method: QuantizeMethod, facts: ModelFacts) -> int:
    """What lies beside the result while it is made: for ONNX the graph in 32 bits, and again where it is quantized."""
    return 8 * facts.parameters if METHODS[method].family == "onnx" else 0


def linear_layers(shape: ModelShape) -> tuple[Matrix, ...]:
    """The linear layers of a model; those of a Llama of these sizes where its family is not known."""
    if shape.matrices:
        return tuple(matrix for matrix in shape.matrices if matrix.is_linear)
    hidden, middle = shape.hidden_size, shape.intermediate_size
    queries, keys = shape.heads * shape.head_dim, (shape.kv_heads or shape.heads) * shape.head_dim
    sizes = {
        "q_proj": (queries, hidden),
        "k_proj": (keys, hidden),
        "v_proj": (keys, hidden),
        "o_proj": (hidden, queries),
        "gate_proj": (middle, hidden),
        "up_proj": (middle, hidden),
        "down_proj": (hidden, middle),
    }
    return tuple(Matrix(name=name, out=out, into=into, count=shape.layers) for name, (out, into) in sizes.items())


def embedding_weights(shape: ModelShape) -> int:
    """Count the weights of embeddings and output layer."""
    return shape.vocab_size * shape.hidden_size * (1 if shape.tied_embeddings else 2)


def fits_four_bits(out_features: int, in_features: int, block_size: int = 64) -> bool:
    """Whether bitsandbytes' 4-bit kernels can take a layer: whole blocks of inputs, tiles of 32 outputs.

    Other shapes load, but stop with an assertion at the first forward on some processors.
    """
    return in_features % max(64, block_size) == 0 and out_features % 32 == 0


def fitting_share(shape: ModelShape, block_size: int = 64) -> float:
    """Share of the weights of all layers that the 4-bit kernels take; stacked experts are no linear layers."""
    return _share(shape, lambda out, into: fits_four_bits(out, into, block_size))


def fits_gptq(out_features: int, in_features: int, group_size: int) -> bool:
    """Whether GPTQ's packing takes a layer: whole words of 32 bits both ways, and whole groups."""
    return in_features % max(32, group_size) == 0 and out_features % 32 == 0


def fits_awq(out_features: int, in_features: int, group_size: int) -> bool:
    """Whether AWQ's library takes a layer: whole groups, and outputs in the batches that it clips together."""
    return in_features % max(1, group_size) == 0 and out_features % 64 == 0


def gptq_share(shape: ModelShape, group_size: int) -> float:
    """Share of the weights of all layers that GPTQ quantizes."""
    return _share(shape, lambda out, into: fits_gptq(out, into, group_size))


def _share(shape: ModelShape, fits: Callable[[int, int], bool]) -> float:
    linear = linear_layers(shape)
    total = sum(matrix.weights for matrix in shape.matrices or linear)
    return sum(matrix.weights for matrix in linear if fits(matrix.out, matrix.into)) / total if total else 1.0
