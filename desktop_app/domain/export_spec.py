"""What an export job is asked to do: a result in the form in which other programs take it."""

from typing import Literal, get_args

from pydantic import Field, field_validator

from .finetune_spec import Device
from .model_facts import ModelFacts
from .quantize_method import QuantizeMethod
from .quantize_spec import QuantizeSpec
from .quantized_size import quantized_bytes
from .value import Value

ExportForm = Literal["whole", "gguf", "adapter", "as_is"]
ExportFormat = Literal["auto", "bf16", "fp16", "fp32"]
FORM_TITLES: dict[ExportForm, str] = {
    "whole": "Whole model",
    "gguf": "GGUF for llama.cpp and Ollama",
    "adapter": "Adapter",
    "as_is": "As it is",
}
TOO_LARGE = "Choose a smaller type, smaller weight files, or a disk formatted as exFAT, NTFS or ext4."
_BYTES = {"bf16": 2, "fp16": 2, "fp32": 4, "auto": 0}


class ExportSpec(Value):
    """Write `model`, a result or any other model, to `output` in one `form`, and try it there before it is shown."""

    kind: Literal["export"] = "export"
    model: str = Field(min_length=1, description="Folder of the result: an adapter, a whole or a quantized model.")
    form: ExportForm = Field(
        "whole",
        description="A whole model in safetensors (an adapter is merged into its base), GGUF, the adapter alone, or "
        "the files as they are, for models that are quantized already.",
    )
    output: str | None = Field(None, description="New folder for it; inside the job's own folder unless said.")
    dtype: ExportFormat = Field("auto", description="Whole model: number format; that of the original unless said.")
    shard_size_mb: int = Field(
        4000, ge=1, le=1_000_000, description="Whole model: size of one weight file; below 4 GB for FAT sticks."
    )
    gguf_type: QuantizeMethod = Field("gguf_q4_k_m", description="GGUF: which type, such as gguf_q8_0.")
    system: str = Field("", max_length=20_000, description="System prompt that Ollama's Modelfile gives the model.")
    name: str = Field("", max_length=80, description="What the job is called in lists.")
    device: Device = Field("auto", description="Where the export is tried: the GPU if there is one.")
    threads: int | None = Field(
        None, ge=1, le=1024, description="Processor threads; one core is left free unless said."
    )

    @field_validator("gguf_type")
    @classmethod
    def _is_gguf(cls, method: QuantizeMethod) -> QuantizeMethod:
        if not method.startswith("gguf_"):
            raise ValueError(f"it should be one of {', '.join(GGUF_TYPES)}")
        return method

    @field_validator("system")
    @classmethod
    def _can_be_quoted(cls, system: str) -> str:
        if '"""' in system:
            raise ValueError('a Modelfile cannot hold """ in a text')
        return system


GGUF_TYPES: tuple[QuantizeMethod, ...] = tuple(m for m in get_args(QuantizeMethod) if m.startswith("gguf_"))


def possible_forms(facts: ModelFacts) -> tuple[ExportForm, ...]:
    """Return the forms in which a model of these facts can be exported, the most usual first."""
    if facts.kind == "adapter":
        return ("whole", "gguf", "adapter")
    if facts.kind == "gguf" or facts.quantization:
        return ("as_is",)
    return ("whole", "gguf")


def export_bytes(spec: ExportSpec, facts: ModelFacts, base: ModelFacts) -> tuple[int, int]:
    """Estimate what is written, and its largest file, in bytes; `base` is the adapter's, or the model itself."""
    if spec.form == "gguf":
        size = quantized_bytes(QuantizeSpec(model=spec.model, method=spec.gguf_type), spec.gguf_type, base)
        return size, size
    if spec.form == "whole":
        width = _BYTES[spec.dtype] or (4 if base.dtype in ("F32", "float32", "fp32") else 2)
        size = base.parameters * width
        return size, min(size, spec.shard_size_mb * 1_000_000)
    return facts.size_bytes, 0  # the files are there: who copies them looks at each
