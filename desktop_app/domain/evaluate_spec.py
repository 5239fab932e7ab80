"""What an evaluation job is asked to measure."""

import re
from typing import Literal

from pydantic import Field, model_validator

from .finetune_spec import Device, Layout
from .value import Value

Scoring = Literal["none", "exact", "number", "choice", "regex"]
SCORING_TITLES: dict[Scoring, str] = {
    "none": "Not scored",
    "exact": "The same words",
    "number": "The same number",
    "choice": "The same letter (A, B, C…)",
    "regex": "By a pattern of yours",
}
# By this a refusal is recognised: in any case, anywhere in the answer. The user's own list replaces it.
REFUSALS = (
    "i cannot", "i can't", "i can not", "i am not able to", "i'm not able to", "i am unable to", "i'm unable to",
    "i won't", "i will not", "i must decline", "as an ai", "i'm sorry, but", "i am sorry, but",
)  # fmt: skip


class EvaluateSpec(Value):
    """Measure `model` and each of `variants` on the same text, each variant against the model, one after another."""

    kind: Literal["evaluate"] = "evaluate"
    model: str = Field(min_length=1, description="The original: folder of the model, or a GGUF file.")
    variants: tuple[str, ...] = Field(
        (),
        max_length=40,
        description="What is compared with the original: adapters, merged and quantized folders, GGUF files.",
    )
    data: str | None = Field(
        None, description="File to measure on: text, conversations or questions with answers; ours if empty."
    )
    held_out_of: str | None = Field(
        None, description="Result of a fine-tuning: measure on the rows that it kept aside, in place of a file."
    )
    name: str = Field("", max_length=80, description="What the job is called in lists.")
    layout: Layout = Field("auto", description="How the examples are laid out; found out from the file unless said.")
    columns: dict[str, str] = Field(default_factory=dict, description="Which column holds what, for layout 'columns'.")
    max_rows: int = Field(64, ge=1, le=100_000, description="Measure on the first rows of the file.")
    max_tokens: int = Field(
        4096, ge=16, le=10_000_000, description="Measure on at most this many tokens; more make the figures surer."
    )
    max_length: int = Field(512, ge=8, le=1_048_576, description="Window: tokens that are read at once.")
    stride: int | None = Field(
        None, ge=1, le=1_048_576, description="How far the window moves on in plain text; half of it unless said."
    )
    prompts: tuple[str, ...] = Field(
        (), description="Questions to answer; the first examples of the data unless given."
    )
    questions: int = Field(10, ge=0, le=100_000, description="How many examples are asked; 0 for none.")
    scoring: Scoring = Field("none", description="How an answer is judged against that of the file.")
    pattern: str = Field(
        "",
        max_length=500,
        description="Regular expression whose match (its first group, if it has one) is compared with the file's.",
    )
    refusals: tuple[str, ...] = Field(REFUSALS, description="Phrases by which a refusal is recognised.")
    max_new_tokens: int = Field(64, ge=1, le=8192, description="Longest answer in tokens.")
    device: Device = Field("auto", description="Where to compute: the GPU if there is one.")
    threads: int | None = Field(
        None, ge=1, le=1024, description="Processor threads; one core is left free unless said."
    )

    @model_validator(mode="after")
    def _checked(self) -> "EvaluateSpec":
        if self.data is not None and self.held_out_of is not None:
            raise ValueError("data and held_out_of are both given; name one of them")
        if self.scoring == "regex":
            try:
                re.compile(self.pattern)
            except re.error as error:
                raise ValueError(f"pattern {self.pattern!r} is no regular expression: {error}") from error
            if not self.pattern:
                raise ValueError("pattern is empty; scoring by a pattern needs one")
        return self

    @property
    def step_tokens(self) -> int:
        """How far the window moves on in plain text."""
        return min(self.stride or max(1, self.max_length // 2), self.max_length)
