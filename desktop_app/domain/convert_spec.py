"""What a job is asked to convert: weights in the old pickle format, which can carry code."""

from typing import Literal

from pydantic import Field

from .value import Value


class ConvertSpec(Value):
    """Read the pickled weights of `model` without running any code in them, and write them as safetensors."""

    kind: Literal["convert"] = "convert"
    model: str = Field(min_length=1, description="Folder with pytorch_model.bin or adapter_model.bin and its config.")
    output: str | None = Field(None, description="New folder for the result; the job's own folder unless said.")
    name: str = Field("", max_length=80, description="What the job is called in lists.")
    threads: int | None = Field(
        None, ge=1, le=1024, description="Processor threads; one core is left free unless said."
    )
