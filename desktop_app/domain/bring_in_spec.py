"""What a job is asked to bring in: a model from elsewhere on this computer, such as a USB stick."""

from typing import Literal

from pydantic import Field

from .value import Value


class BringInSpec(Value):
    """Copy or move `model` to `output`, check every byte, and show it only when it is whole."""

    kind: Literal["bring_in"] = "bring_in"
    model: str = Field(min_length=1, description="Folder of a model, or a GGUF file, that is brought in.")
    output: str | None = Field(None, description="New folder for it; one in Whetstone's models folder unless said.")
    move: bool = Field(False, description="Remove the original once the copy is verified.")
    name: str = Field("", max_length=80, description="What the job is called in lists.")
    threads: int | None = Field(None, ge=1, le=1024, description="Without effect here.")
