"""The quantization form: which model becomes smaller, and by which method."""

from typing import ClassVar

from desktop_app.domain.model_facts import ModelFacts, ModelShape
from desktop_app.domain.quantize_method import family_of, is_four_bit_block, weighs_errors
from desktop_app.domain.quantize_spec import QuantizeSpec
from desktop_app.domain.quantized_size import fits_four_bits, linear_layers

from .form import Form


class QuantizeForm(Form[QuantizeSpec]):
    """The fields of a `QuantizeSpec`."""

    spec_type = QuantizeSpec
    labels: ClassVar[dict[str, str]] = {
        "method": "Format",
        "double_quantization": "Double quantization",
        "importance_matrix": "Weigh errors by what this text uses",
        "calibration_data": "Text",
        "skip_modules": "Keep in 16 bits",
        "measure_result": "Measure it against the original afterwards",
        "name": "Name",
        "output": "Output folder",
    }

    def missing_choice(self) -> str:
        """Say that a model is missing or cannot be quantized, and why."""
        facts = self.facts
        if not self.values["model"]:
            return "Choose a model to quantize."
        return quantize_refusal(facts) if facts is not None and facts.path == self.values["model"] else ""

    def missing(self) -> str:
        """Say what must be chosen or corrected before the start."""
        if not self.missing_choice() and self.weighs_errors and self.values["importance_matrix"]:
            return super().missing() if self.values["calibration_data"] else "Name a text, or do not weigh by one."
        return super().missing()

    @property
    def weighs_errors(self) -> bool:
        """Whether an importance matrix makes a difference to this method."""
        return weighs_errors(self.values["method"])

    def kept_sentence(self) -> str:
        """Say what is not quantized, or with more bits."""
        if family_of(self.values["method"]) == "gguf":
            return "One file with tokenizer and chat template in it. Norms are written in 32 bits."
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
        alike.get(layer.name, layer.name): (layer.into, layer.out)
        for layer in linear_layers(shape)
        if layer.name not in ("v_proj", "up_proj") and not fits_four_bits(layer.out, layer.into)
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
