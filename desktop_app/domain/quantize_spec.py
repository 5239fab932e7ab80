"""What a quantization job is asked to do; the one place for its defaults."""

from typing import Literal

from pydantic import Field, model_validator

from .finetune_spec import Device
from .quantize_method import METHODS, QuantizeMethod, is_four_bit_block
from .value import Value

BlockSize = Literal[32, 64, 128, 256, 512, 1024, 2048, 4096]
AWQ_GROUPS = (32, 64, 128)
GroupSize = Literal[-1, 32, 64, 128, 256, 512, 1024]


class QuantizeSpec(Value):
    """Write one or several smaller copies of `model`."""

    kind: Literal["quantize"] = "quantize"
    model: str = Field(min_length=1, description="Folder of the model to quantize, or of an adapter beside its base.")
    method: QuantizeMethod = Field("nf4", description="How the weights are written: the format and its bits.")
    further_methods: tuple[QuantizeMethod, ...] = Field(
        (), description="More copies in the same run, each in a subfolder of the result that is named after its method."
    )
    name: str = Field(
        "", max_length=80, description="What the job is called in lists; made from model and method if empty."
    )
    double_quantization: bool = Field(
        True,
        description="NF4 and FP4: quantize the scales too, as QLoRA's authors advise; 0.4 bits less per weight.",
    )
    block_size: BlockSize = Field(
        64, description="NF4 and FP4: how many weights share a scale. Larger blocks are smaller and less exact."
    )
    compute_dtype: Literal["auto", "bf16", "fp16", "fp32"] = Field(
        "auto",
        description="NF4 and FP4: number format that the copy computes in; that of its other weights unless said.",
    )
    bits: Literal[3, 4, 8] = Field(4, description="GPTQ: how many bits a weight takes.")
    group_size: GroupSize = Field(
        128,
        description="GPTQ, AWQ: how many weights of a row share a scale; -1 is the whole row. Smaller is closer.",
    )
    act_order: bool = Field(
        False,
        description="GPTQ: quantize the columns first that the text activates most. Closer, slower in some programs.",
    )
    skip_modules: tuple[str, ...] = Field(
        (),
        description="Layers to leave as they are, by name or pattern (*.down_proj); the output layer always is, "
        "except in GGUF.",
    )
    keep_first_layers: int = Field(0, ge=0, le=1000, description="Leave this many of the first layers as they are.")
    keep_last_layers: int = Field(0, ge=0, le=1000, description="Leave this many of the last layers as they are.")
    keep_embeddings: bool = Field(
        False, description="GGUF: leave embeddings and output layer as they are; other formats always do."
    )
    calibration_data: str | None = Field(
        None,
        description="Text that the copy is measured on, and made with where a method wants examples; ours if empty.",
    )
    importance_matrix: bool = Field(
        False, description="GGUF: weigh errors by what the calibration text activates. Takes a pass of the whole model."
    )
    measure_result: bool = Field(
        False, description="Afterwards measure each copy against the original: perplexity, divergence, answers, speed."
    )
    shard_size_mb: int = Field(
        1000, ge=1, le=1_000_000, description="Size of one weight file; an interrupted run goes on after the last."
    )
    device: Device = Field("auto", description="Where to compute: the GPU if there is one.")
    threads: int | None = Field(
        None, ge=1, le=1024, description="Processor threads; one core is left free unless said."
    )
    output: str | None = Field(None, description="Folder for the result; inside the job's own folder unless said.")

    @model_validator(mode="after")
    def _checked(self) -> "QuantizeSpec":
        if len(set(self.methods)) < len(self.methods):
            raise ValueError("further_methods names a method twice")
        if "gptq" in self.methods and (self.keep_first_layers or self.keep_last_layers):
            raise ValueError("gptq treats all layers alike: keep_first_layers and keep_last_layers must be 0")
        if "awq" in self.methods and (self.keep_first_layers or self.keep_last_layers or self.skip_modules):
            raise ValueError("awq takes all layers but the output layer: none else can be kept")
        if "awq" in self.methods and self.group_size not in AWQ_GROUPS:
            raise ValueError(f"awq has groups of {', '.join(map(str, AWQ_GROUPS))}, not {self.group_size}")
        return self

    @property
    def methods(self) -> tuple[QuantizeMethod, ...]:
        """All methods that are asked for, in order."""
        return (self.method, *self.further_methods)


def bits_per_weight(spec: QuantizeSpec, method: QuantizeMethod) -> float:
    """Return the bits of a quantized weight with the scales that the spec asks for."""
    if method == "gptq":
        return spec.bits + (0 if spec.group_size == -1 else (16 + spec.bits) / spec.group_size)
    if method == "awq":
        return 4 + (16 + 4) / max(1, spec.group_size)
    if not is_four_bit_block(method):
        return METHODS[method].bits
    scale = 8 + 32 / 256 if spec.double_quantization else 32
    return 4 + scale / spec.block_size
