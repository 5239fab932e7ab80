"""What a quantization job is asked to do; the one place for its defaults."""

from typing import Literal

from pydantic import Field

from .finetune_spec import Device
from .value import Value

QuantizeMethod = Literal["nf4", "int8"]


class QuantizeSpec(Value):
    """Write a smaller copy of `model`."""

    kind: Literal["quantize"] = "quantize"
    model: str = Field(min_length=1, description="Folder of the model to quantize.")
    method: QuantizeMethod = Field(
        "nf4", description="NF4: 4 bits per weight. LLM.int8: 8 bits, closer to the original."
    )
    name: str = Field(
        "", max_length=80, description="What the job is called in lists; made from model and method if empty."
    )
    double_quantization: bool = Field(
        True, description="NF4 only: quantize the scales too, as QLoRA's authors advise; 0.4 bits less per weight."
    )
    skip_modules: tuple[str, ...] = Field(
        (), description="Layers to leave as they are, by name; the output layer always is."
    )
    device: Device = Field("auto", description="Where to compute: the GPU if there is one.")
    threads: int | None = Field(
        None, ge=1, le=1024, description="Processor threads; one core is left free unless said."
    )
    output: str | None = Field(None, description="Folder for the result; inside the job's own folder unless said.")
