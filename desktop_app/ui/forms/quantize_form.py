"""The quantization form: which model becomes smaller, and by which method."""

from typing import ClassVar

from desktop_app.domain.model_facts import ModelFacts, ModelShape
from desktop_app.domain.quantize_method import is_four_bit_block
from desktop_app.domain.quantize_spec import QuantizeSpec
from desktop_app.domain.quantized_size import fits_four_bits, linear_matrices

from .form import Form


class QuantizeForm(Form[QuantizeSpec]):
    """The fields of a `QuantizeSpec`."""

    spec_type = QuantizeSpec
    labels: ClassVar[dict[str, str]] = {
        "double_quantization": "Double quantization",
        "skip_modules": "Keep in 16 bits",
        "name": "Name",
        "output": "Output folder",
    }

    def missing_choice(self) -> str:
        """Say that a model is missing or cannot be quantized, and why."""
        facts = self.facts
        if not self.values["model"]:
            return "Choose a model to quantize."
        return quantize_refusal(facts) if facts is not None and facts.path == self.values["model"] else ""

    def kept_sentence(self) -> str:
        """Say which layers stay in 16 bits."""
        kept = "The output layer, embeddings and norms stay in 16 bits."
        is_four_bits = is_four_bit_block(self.values["method"])
        odd = odd_layers(self.facts.shape) if self.facts is not None and is_four_bits else {}
        if not odd:
            return kept
        layers = ", ".join(f"{name} ({into:,} by {out:,})" for name, (into, out) in odd.items())
        return f"{kept} So do {layers}, because the 4-bit kernels want multiples of 64 inputs and 32 outputs."


def odd_layers(shape: ModelShape) -> dict[str, tuple[int, int]]:
    """The linear layers whose (inputs, outputs) the 4-bit kernels cannot take; empty where the shape is not known.

    NOTE: the worker finds them out anew on the model itself (`workers/loading.py`), this is the announcement.
    """
    if not (shape.hidden_size and shape.intermediate_size and shape.heads and shape.head_dim):
        return {}
    alike = {"k_proj": "k_proj and v_proj", "gate_proj": "gate_proj and up_proj"}
    return {
        alike.get(name, name): (into, out)
        for name, (out, into) in linear_matrices(shape).items()
        if name not in ("v_proj", "up_proj") and not fits_four_bits(out, into)
    }


def quantize_refusal(facts: ModelFacts) -> str:
    """Say why a model cannot be quantized, '' if it can."""
    if facts.kind == "gguf":
        return f"{facts.name} is a GGUF file, which is quantized already."
    if facts.quantization:
        return f"{facts.name} is quantized already ({facts.quantization}); choose the original model."
    if facts.problem:
        return facts.problem
    if facts.kind == "adapter":
        return f"{facts.name} is an adapter; only whole models can be quantized."
    return ""
