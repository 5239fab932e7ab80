"""The quantization form: which model becomes smaller, and by which method."""

from typing import ClassVar

from desktop_app.domain.quantize_spec import QuantizeSpec

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
        if facts is None or facts.path != self.values["model"]:
            return ""
        if facts.problem:
            return facts.problem
        if facts.kind == "adapter":
            return f"{facts.name} is an adapter; only whole models can be quantized."
        if facts.kind == "gguf":
            return f"{facts.name} is a GGUF file, which is quantized already."
        if facts.quantization:
            return f"{facts.name} is quantized already ({facts.quantization}); choose the original model."
        return ""
