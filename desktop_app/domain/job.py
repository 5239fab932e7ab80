"""A job as the history shows it, and the states it can be in."""

import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path, PurePath
from typing import Any

from .bring_in_spec import BringInSpec
from .bundle_spec import OpenBundleSpec
from .download_spec import DownloadSpec
from .export_spec import ExportSpec
from .quantize_method import METHODS
from .quantize_spec import QuantizeSpec
from .spec import JobSpec
from .value import Value

LONGEST_TAG = 40
_JOB_ID = re.compile(r"\d{8}-\d{6}-(?P<words>.+)-[0-9a-f]{4}")  # as make_job_id makes them
# Kinds whose half-done work is kept where the result will be, so that they can go on after a cancellation.
KINDS_THAT_GO_ON = ("bring_in", "download", "open_bundle")


class JobState(StrEnum):
    """Where a job stands; `sentence` says it to the user."""

    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"

    @property
    def is_terminal(self) -> bool:
        """Whether the job has ended and will not change by itself."""
        return self not in (JobState.QUEUED, JobState.RUNNING, JobState.PAUSED)

    @property
    def sentence(self) -> str:
        """Say the state to a person in one sentence."""
        return _SENTENCES[self]


_SENTENCES = {
    JobState.QUEUED: "Waits for its turn.",
    JobState.RUNNING: "Is at work.",
    JobState.PAUSED: "Holds still until you let it go on.",
    JobState.SUCCEEDED: "Ended well; its result was verified.",
    JobState.FAILED: "Ended with a problem.",
    JobState.CANCELLED: "Was cancelled by you.",
    JobState.INTERRUPTED: "Ended without saying how, for example by a crash or a power cut.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One row of the history. Times are Unix seconds, None while not reached; sizes in bytes.

    `eta_s`: how many seconds it still takes, None where nobody knows; of one that waits, what was expected of it.
    """

    id: str
    kind: str
    name: str
    state: JobState
    method: str
    model: str
    data: str
    spec: dict[str, Any]
    created: float
    started: float | None = None
    ended: float | None = None
    stage: str = ""
    done: float = 0
    total: float = 0
    unit: str = ""
    rate: float | None = None
    rate_unit: str = ""
    eta_s: float | None = None
    loss: float | None = None
    result: str = ""
    error: str = ""
    message: str = ""
    hint: str = ""
    summary: dict[str, Any]
    note: str = ""
    tags: tuple[str, ...] = ()
    is_archived: bool = False

    @property
    def words(self) -> str:
        """Everything that a search looks through, in small letters."""
        parts = (self.id, self.name, self.model, self.data, self.message, self.note, *self.tags)
        return "\n".join(parts).lower()

    @property
    def marks(self) -> "JobMarks":
        """What the user has marked it with."""
        return JobMarks(tags=self.tags, is_archived=self.is_archived)

    @property
    def duration_s(self) -> float | None:
        """Seconds from start to end; None until it has ended."""
        if self.started is None or self.ended is None:
            return None
        return max(0.0, self.ended - self.started)


class JobMarks(Value):
    """What a user marks a job with: tags to find it by, and whether it is out of sight until asked for."""

    tags: tuple[str, ...] = ()
    is_archived: bool = False


def tidy_tags(tags: Iterable[str]) -> tuple[str, ...]:
    """Leave out empty and double tags and the end of those longer than 40 characters."""
    tidy = dict.fromkeys(" ".join(tag.split())[:LONGEST_TAG] for tag in tags)
    return tuple(tag for tag in tidy if tag)


def subject_of(spec: JobSpec) -> str:
    """Return what a job is about: the path of a model or bundle, or the repository that it comes from."""
    if isinstance(spec, OpenBundleSpec):
        return spec.bundle
    return spec.repo if isinstance(spec, DownloadSpec) else spec.model


def models_of(job: Job) -> dict[str, str]:
    """Return the models that a job's result holds: folder -> name. Asks no disk; empty without a result.

    Several copies lie in subfolders named after their methods, a merged model beside its adapter's files.
    """
    if not job.result:
        return {}
    result, further = Path(job.result), job.spec.get("further_methods")
    if job.kind == "quantize" and further:
        methods = [job.spec.get("method", ""), *further]
        return {str(result / each): f"{job.name} {METHODS[each].title}" for each in methods if each in METHODS}
    merged = {str(result / "merged"): f"{job.name} merged"} if "merged_bytes" in job.summary else {}
    return {job.result: job.name, **merged}


def name_by_job(path: PurePath) -> str:
    """Name a result inside a job's folder by the job, whose id holds it, for `result` says nothing; '' for others."""
    for folder, beside in ((path, ""), (path.parent, f" {path.name}")):
        if folder.name == "result" and (found := _JOB_ID.fullmatch(folder.parent.name)):
            return found["words"] + beside
    return ""


def job_name(spec: JobSpec) -> str:
    """Name a job for lists: the user's own name for it, or model and method; of what is fetched the name alone."""
    if spec.name:
        return spec.name
    if isinstance(spec, BringInSpec | DownloadSpec):
        return Path(subject_of(spec)).name
    if isinstance(spec, OpenBundleSpec):
        return Path(spec.bundle).stem
    method = getattr(spec, "method", spec.kind)
    if isinstance(spec, QuantizeSpec) and spec.further_methods:
        method = "quantized"  # its copies are named after it and after their methods
    if isinstance(spec, ExportSpec):
        method = spec.gguf_type if spec.form == "gguf" else spec.form
    model = Path(spec.model)
    return f"{name_by_job(model) or model.name}-{method}"


def make_job_id(spec: JobSpec, now: datetime) -> str:
    """Make an id that sorts by time, can be read aloud and is a safe file name on every system."""
    words = re.sub(r"[^a-z0-9]+", "-", job_name(spec).lower()).strip("-")[:40].strip("-")
    return f"{now:%Y%m%d-%H%M%S}-{words or spec.kind}-{secrets.token_hex(2)}"
