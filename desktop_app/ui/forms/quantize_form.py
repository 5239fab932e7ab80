"""The quantization form: which model becomes smaller, and by which method."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import ClassVar

from desktop_app.domain.model_facts import ModelFacts, ModelShape
from desktop_app.domain.quantize_method import (
    METHODS,
    QuantizeMethod,
    family_of,
    is_four_bit_block,
    reads_text,
    weighs_errors,
)
from desktop_app.domain.quantize_spec import AWQ_GROUPS, QuantizeSpec
from desktop_app.domain.quantized_size import fits_awq, fits_four_bits, fits_gptq, linear_layers, quantized_bytes
from desktop_app.extras import missing_extra

from .form import Form


class QuantizeForm(Form[QuantizeSpec]):
    """The fields of a `QuantizeSpec`."""

    spec_type = QuantizeSpec
    labels: ClassVar[dict[str, str]] = {
        "method": "Format",
        "further_methods": "Further formats in the same run",
        "bits": "Bits",
        "group_size": "Group size",
        "act_order": "Activation order",
        "block_size": "Block size",
        "compute_dtype": "Computes in",
        "keep_first_layers": "First layers kept",
        "keep_last_layers": "Last layers kept",
        "keep_embeddings": "Keep embeddings and output layer",
        "shard_size_mb": "File size",
        "double_quantization": "Double quantization",
        "importance_matrix": "Weigh errors by what this text uses",
        "calibration_data": "Text",
        "skip_modules": "Keep in 16 bits",
        "measure_result": "Measure it against the original afterwards",
        "name": "Name",
        "output": "Output folder",
    }

    def __init__(self) -> None:
        super().__init__()
        self.base: ModelFacts | None = None  # of an adapter, which is merged with it first

    @property
    def weights(self) -> ModelFacts | None:
        """Facts of what is quantized: the model, or the base of an adapter, as large as the two merged."""
        return self.base if self.facts is not None and self.facts.kind == "adapter" else self.facts

    def missing_choice(self) -> str:
        """Say that a model is missing or cannot be quantized, and why."""
        facts = self.facts
        if not self.values["model"]:
            return "Choose a model to quantize."
        return quantize_refusal(facts, self.base) if facts is not None and facts.path == self.values["model"] else ""

    def missing(self) -> str:
        """Say what must be chosen or corrected before the start."""
        if not self.missing_choice() and len(set(self.methods)) < len(self.methods):
            return f"{METHODS[self.values['method']].title} is chosen twice."
        if not self.missing_choice() and (refusal := self._method_refusal()):
            return refusal
        if not self.missing_choice() and self.weighs_errors and self.values["importance_matrix"]:
            return super().missing() if self.values["calibration_data"] else "Name a text, or do not weigh by one."
        return super().missing()

    def _method_refusal(self) -> str:
        """Say why a format that is chosen cannot be made here or not with these settings, '' if all can."""
        reasons = method_refusals()
        for method in self.methods:
            if method in reasons:
                return f"{METHODS[method].title} {reasons[method]}."  # type: ignore[index]  # of the list
        if self.has_gptq and any(str(self.values[name]) != "0" for name in ("keep_first_layers", "keep_last_layers")):
            return "GPTQ treats all layers alike: keep no first or last layers, or choose another format."
        return self._awq_refusal() if "awq" in self.methods else ""

    def _awq_refusal(self) -> str:
        kept = (self.values["skip_modules"], *(self.values[name] for name in ("keep_first_layers", "keep_last_layers")))
        if any(str(value or "0") != "0" for value in kept):
            return "AWQ takes all layers but the output layer: keep no others, or choose another format."
        if (group := int(self.values["group_size"])) not in AWQ_GROUPS:
            return f"AWQ has groups of {', '.join(map(str, AWQ_GROUPS))}."
        shape = self.weights.shape if self.weights is not None else ModelShape()
        odd = {each: odd_layers(shape, partial(fits_awq, group_size=each)) for each in AWQ_GROUPS}
        if not odd[group]:
            return ""
        sound = [each for each in AWQ_GROUPS if not odd[each]]
        do = f"Choose a group size of {max(sound)}" if sound else "Choose another format"
        return f"{do}: AWQ takes all layers, in multiples of {group} inputs and 64 outputs, unlike {odd[group]}."

    @property
    def methods(self) -> tuple[str, ...]:
        """All formats that are chosen, the first one first."""
        further = str(self.values["further_methods"]).replace(",", " ").split()
        return (self.values["method"], *further)

    @property
    def weighs_errors(self) -> bool:
        """Whether an importance matrix makes a difference to a method that is chosen."""
        return any(weighs_errors(method) for method in self.methods)

    @property
    def is_four_bit_block(self) -> bool:
        """Whether block size and scales concern a method that is chosen."""
        return any(is_four_bit_block(method) for method in self.methods)

    @property
    def has_gptq(self) -> bool:
        """Whether GPTQ is among what is chosen."""
        return "gptq" in self.methods

    @property
    def reads_text(self) -> bool:
        """Whether a method that is chosen makes its copy with a text."""
        return any(reads_text(method) for method in self.methods)

    @property
    def has_gguf(self) -> bool:
        """Whether a GGUF file is among what is chosen."""
        return any(family_of(method) == "gguf" for method in self.methods)  # type: ignore[arg-type]

    def sizes(self) -> dict[QuantizeMethod, int]:
        """Say how many bytes the model would take by each method, with the other settings as they are."""
        draft = self.draft()
        if draft is None or self.weights is None or self.missing_choice():
            return {}
        return {method: quantized_bytes(draft, method, self.weights) for method in METHODS}

    def kept_sentence(self) -> str:
        """Say what is not quantized, or with more bits."""
        if all(family_of(method) == "gguf" for method in self.methods):  # type: ignore[arg-type]
            return "One file with tokenizer and chat template in it. Norms are written in 32 bits."
        where = "Except in GGUF files, the" if self.has_gguf else "The"
        kept = f"{where} output layer, embeddings and norms stay in 16 bits."
        shape = self.weights.shape if self.weights is not None else ModelShape()
        if self.is_four_bit_block and (odd := odd_layers(shape, fits_four_bits)):
            kept += f" So do {odd}, because the 4-bit kernels want multiples of 64 inputs and 32 outputs."
        group = int(self.values["group_size"])
        if self.has_gptq and (odd := odd_layers(shape, lambda out, into: fits_gptq(out, into, group))):
            kept += f" In GPTQ {odd} do too, because it wants whole groups of {max(32, group)} inputs and 32 outputs."
        return kept


def method_refusals() -> dict[str, str]:
    """Say of each format that cannot be made here why: half sentences to follow its title."""
    missing = {str(name): missing_extra(how.extra) for name, how in METHODS.items()}
    return {name: reason for name, reason in missing.items() if reason}


def odd_layers(shape: ModelShape, fits: Callable[[int, int], bool]) -> str:
    """Name the linear layers whose (outputs, inputs) do not fit, with inputs by outputs; '' if none is known.

    NOTE: the worker finds them out anew on the model itself (`workers/loading.py`), this is the announcement.
    """
    if not (shape.hidden_size and shape.intermediate_size and shape.heads and shape.head_dim):
        return ""
    alike = {"k_proj": "k_proj and v_proj", "gate_proj": "gate_proj and up_proj"}
    return ", ".join(
        f"{alike.get(layer.name, layer.name)} ({layer.into:,} by {layer.out:,})"
        for layer in linear_layers(shape)
        if layer.name not in ("v_proj", "up_proj") and not fits(layer.out, layer.into)
    )


def quantize_refusal(facts: ModelFacts, base: ModelFacts | None = None) -> str:
    """Say why a model cannot be quantized, '' if it can; `base` is that of an adapter, once it is known."""
    if facts.kind == "gguf":
        return f"{facts.name} is a GGUF file; choose the folder of the model that it was made of."
    if facts.kind == "onnx":
        return facts.problem
    if facts.quantization:
        return f"{facts.name} is quantized already ({facts.quantization}); choose the original model."
    if facts.problem:
        return facts.problem
    if facts.kind == "adapter":
        return _adapter_refusal(facts, base)
    return ""


def _adapter_refusal(facts: ModelFacts, base: ModelFacts | None) -> str:
    if not Path(facts.base_model).is_absolute():
        return f"{facts.name} is an adapter whose base model is not known; export it as a whole model first."
    if base is not None and base.quantization:
        return (
            f"The base of {facts.name} is quantized already ({base.quantization}); choose an adapter of the original."
        )
    return base.problem if base is not None else ""
