"""What goes along in a bundle for another computer, and what a bundle says about itself."""

from typing import Any, Literal, get_args

from pydantic import Field, model_validator

from .model_facts import ModelFacts
from .value import Value

BundlePart = Literal["model", "tokenizer", "data", "preset", "result", "report", "checkpoint"]
BUNDLE_PARTS: tuple[BundlePart, ...] = get_args(BundlePart)
_OF_A_JOB = ("data", "preset", "result", "report", "checkpoint")
PART_TITLES: dict[BundlePart, str] = {
    "model": "Model with tokenizer",
    "tokenizer": "Tokenizer alone",
    "data": "Data, with your edits",
    "preset": "Preset of the settings",
    "result": "Result",
    "report": "Report: curves, log, note",
    "checkpoint": "Checkpoints, to go on from",
}


class BundleSpec(Value):
    """Put a model, and a job with all that it needs, into one folder or zip file with a list of checksums."""

    kind: Literal["bundle"] = "bundle"
    model: str = Field(min_length=1, description="Folder of the model that goes along, or that the job works on.")
    job: str = Field("", max_length=120, description="Id of a job that has ended; its settings always go along.")
    parts: tuple[BundlePart, ...] = Field(
        ("model", "data", "result", "report", "checkpoint"),
        description="What goes along: model, tokenizer, data, preset, result, report, checkpoint.",
    )
    as_zip: bool = Field(False, description="One zip file in the folder, in place of the files themselves.")
    output: str | None = Field(None, description="New folder for it; inside the job's own folder unless said.")
    name: str = Field("", max_length=80, description="What the job is called in lists.")
    threads: int | None = Field(None, ge=1, le=1024, description="Without effect here.")

    @model_validator(mode="after")
    def _has_something(self) -> "BundleSpec":
        if not self.parts and not self.job:
            raise ValueError("parts: nothing goes along; choose at least one")
        of_a_job = next((part for part in self.parts if part in _OF_A_JOB), None)
        if of_a_job and not self.job and self.parts != BundleSpec.model_fields["parts"].default:
            raise ValueError(f"parts: {of_a_job} belongs to a job; name one, or leave it out")
        return self


class OpenBundleSpec(Value):
    """Check a bundle, file by file, and take what it holds in: model and data as files, the job into the history."""

    kind: Literal["open_bundle"] = "open_bundle"
    bundle: str = Field(min_length=1, description="Folder of a bundle, or its zip file.")
    model: str | None = Field(None, description="Folder of the model here, where the bundle holds none.")
    output: str | None = Field(None, description="New folder for model and data; among the models unless said.")
    name: str = Field("", max_length=80, description="What the job is called in lists.")
    threads: int | None = Field(None, ge=1, le=1024, description="Without effect here.")


class BundleFile(Value):
    """One file by its size in bytes and SHA-256."""

    size: int = Field(ge=0)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class Bundle(Value):
    """What stands in `bundle.json`. Paths in `spec` are relative to the bundle; '' where that part stayed behind.

    `facts` and `model_headers` (a hash of config and weight headers) are those of the base model, also if it stayed
    behind.
    """

    version: Literal[1] = 1
    made_by: str = Field(max_length=40)
    name: str = Field(min_length=1, max_length=120)
    job: str = Field("", max_length=120)
    spec: dict[str, Any] | None = None
    facts: ModelFacts | None = None
    model_headers: str = Field("", max_length=64)
    parts: tuple[BundlePart, ...] = ()
    files: dict[str, BundleFile]

    @property
    def size_bytes(self) -> int:
        """Size of all files."""
        return sum(file.size for file in self.files.values())
