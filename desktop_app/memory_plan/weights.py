"""The weights of one model on one device: how many, in which number format, plain or packed."""

from desktop_app.domain.model_facts import ModelFacts, ModelShape
from desktop_app.domain.quantized_size import embedding_weights, fitting_share, linear_layers

from .terms import Term


class Weights:
    """`width`: bytes of a weight or activation that is not quantized; `total` counts an adapter with its base."""

    def __init__(self, facts: ModelFacts, is_gpu: bool, precision: str = "auto") -> None:
        self.facts = facts
        self.shape = facts.shape
        self.is_gpu = is_gpu
        self.width = {"fp32": 4, "bf16": 2, "fp16": 2}.get(precision, 2 if is_gpu else 4)
        self.is_quantized = bool(facts.quantization)
        self.total = dense_parameters(facts.shape) + facts.parameters if facts.kind == "adapter" else facts.parameters
        self._beside = min(self.total, embedding_weights(facts.shape) + _norms(facts.shape))

    @property
    def layer(self) -> int:
        """Weights of one layer's linear layers, on average."""
        return sum(each.weights for each in linear_layers(self.shape)) // max(1, self.shape.layers)

    @property
    def largest(self) -> int:
        """Weights of the largest tensor."""
        table = self.shape.vocab_size * self.shape.hidden_size
        return max([table, *(each.out * each.into for each in self.shape.matrices)])

    def plain(self) -> list[Term]:
        """The model as it is."""
        if self.is_quantized:
            return [Term(name="Weights", bytes=self.facts.size_bytes, formula=f"its files, {self.facts.quantization}")]
        formula = f"{self.total:,} weights × {self.width} bytes"
        return [Term(name="Weights", bytes=self.total * self.width, formula=formula)]

    def packed(self, per_weight: float, words: str) -> list[Term]:
        """The model with its matrices in `per_weight` bytes each."""
        packed = int((self.total - self._beside) * fitting_share(self.shape))
        plain = self.total - packed
        return [
            Term(
                name="Weights",
                bytes=int(packed * per_weight) + plain * self.width,
                formula=f"{packed:,} weights × {per_weight:.3f} bytes ({words}) + {plain:,} × {self.width} bytes",
            )
        ]


def dense_parameters(shape: ModelShape) -> int:
    """Count the parameters of a model of these sizes, without biases; of a Llama where the family is not known."""
    matrices = sum(matrix.weights for matrix in shape.matrices or linear_layers(shape))
    return matrices + embedding_weights(shape) + _norms(shape)


def _norms(shape: ModelShape) -> int:
    return shape.hidden_size * (2 * shape.layers + 1)
