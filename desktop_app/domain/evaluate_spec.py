"""What an evaluation job is asked to measure."""

from typing import Literal

from pydantic import Field

from .finetune_spec import Device, Layout
from .value import Value


class EvaluateSpec(Value):
    """Load `model` afresh, generate from prompts, and measure it on `data`, against `reference` if given."""

    kind: Literal["evaluate"] = "evaluate"
    model: str = Field(min_length=1, description="Folder of the model or adapter to measure.")
    reference: str | None = Field(None, description="Folder of the model it is compared with, usually the original.")
    data: str | None = Field(None, description="File with examples to measure loss and divergence on.")
    name: str = Field("", max_length=80, description="What the job is called in lists.")
    layout: Layout = Field("auto", description="How the examples are laid out; found out from the file unless said.")
    columns: dict[str, str] = Field(default_factory=dict, description="Which column holds what, for layout 'columns'.")
    prompts: tuple[str, ...] = Field(
        (), description="Questions to answer; the first examples of the data unless given."
    )
    max_rows: int = Field(64, ge=1, le=100_000, description="Measure on the first rows of the file.")
    max_length: int = Field(512, ge=8, le=1_048_576, description="Longest example in tokens.")
    max_new_tokens: int = Field(64, ge=1, le=8192, description="Longest answer in tokens.")
    device: Device = Field("auto", description="Where to compute: the GPU if there is one.")
    threads: int | None = Field(
        None, ge=1, le=1024, description="Processor threads; one core is left free unless said."
    )
