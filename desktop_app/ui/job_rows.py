"""Jobs as rows of a table: which are shown, in which order, and what each cell says.

Works on the whole list in memory; ten thousand jobs take some ten milliseconds.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from desktop_app.domain.job import Job, JobState, name_by_job
from desktop_app.domain.quantize_method import METHODS

from .widgets.job_dot import DOT_CLASSES
from .wording import duration_text, number_text, percent_text, time_left_text, when_text

KIND_NAMES = {
    "finetune": "Fine-tune",
    "quantize": "Quantize",
    "evaluate": "Evaluate",
    "bring_in": "Bring in",
    "download": "Download",
    "convert": "Convert",
    "export": "Export",
    "bundle": "Bundle",
    "open_bundle": "Open bundle",
}
_TRAINED = {
    "lora": "LoRA",
    "qlora": "QLoRA",
    "lora_8bit": "LoRA, 8 bits",
    "dora": "DoRA",
    "rslora": "rsLoRA",
    "pissa": "PiSSA",
    "full": "Full",
}
METHOD_NAMES: dict[str, str] = _TRAINED | {str(name): method.title for name, method in METHODS.items()}
_ORDER = list(JobState)
_STILL = (JobState.QUEUED, JobState.PAUSED)  # the supervisor says in `stage` what holds them


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFilter:
    """Which jobs to show: all words of `text` occur, and state, kind and tag are among those chosen (none: any).

    Archived jobs are shown alone, and only if asked for.
    """

    text: str = ""
    states: frozenset[JobState] = frozenset()
    kinds: frozenset[str] = frozenset()
    tags: frozenset[str] = frozenset()
    is_archived: bool = False

    def accepts(self, job: Job) -> bool:
        """Whether the job is shown."""
        if job.is_archived is not self.is_archived:
            return False
        if self.tags and not self.tags.intersection(job.tags):
            return False
        if self.states and job.state not in self.states:
            return False
        if self.kinds and job.kind not in self.kinds:
            return False
        words = self.text.lower().split()
        if not words:
            return True
        searched = f"{job.words}\n{method_text(job).lower()}"
        return all(word in searched for word in words)


def in_order(jobs: Iterable[Job], column: str, is_descending: bool) -> list[Job]:
    """Sort by a column's name; jobs without a value for it come last either way."""
    key = _SORT_KEYS.get(column, _SORT_KEYS["when"])
    known: list[Job] = []
    unknown: list[Job] = []
    for job in jobs:
        (unknown if key(job) is None else known).append(job)
    return [*sorted(known, key=key, reverse=is_descending), *unknown]


def in_queue_order(jobs: Iterable[Job]) -> list[Job]:
    """Put what is at work first, then what waits in the order in which it will start, then the newest ends."""

    def key(job: Job) -> tuple[int, float]:
        if job.state is JobState.QUEUED:
            return 1, job.created
        return (2, -(job.ended or job.created)) if job.state.is_terminal else (0, job.created)

    return sorted(jobs, key=key)


def job_row(job: Job, now_s: float) -> dict[str, Any]:
    """Say everything that a table shows of a job."""
    share = progress_share(job)
    return {
        "id": job.id,
        "name": job.name,
        "state": job.state.value,
        "dot": DOT_CLASSES[job.state],
        "kind": KIND_NAMES.get(job.kind, job.kind),
        "method": method_text(job),
        "model": model_name(job),
        "share": share,
        "progress": _progress_text(job, share),
        "left": time_left_text(_left_s(job)).removesuffix(" left"),
        "loss": number_text(job.loss) if job.loss is not None else "–",
        "time": duration_text(job.duration_s if job.ended else _running_s(job, now_s)),
        "when": when_text(job.started or job.created, now_s),
        "reason": job.message if job.state is JobState.FAILED else "",
        "hold": job.stage if job.state in _STILL else "",
        "curve": "",
    }


def method_text(job: Job) -> str:
    """Name kind and method in one word where that is enough: 'QLoRA', 'NF4', 'NF4 +2' of three copies, 'Evaluate'."""
    name = METHOD_NAMES.get(job.method, job.method) or KIND_NAMES.get(job.kind, job.kind)
    further = job.spec.get("further_methods") if job.kind == "quantize" else ()
    return f"{name} +{len(further)}" if further else name


def model_name(job: Job) -> str:
    """Name the model by its folder, on whichever system the path was written."""
    path = PurePath(job.model.replace("\\", "/"))
    return name_by_job(path) or path.name or job.model


def progress_share(job: Job) -> float | None:
    """How far the job is, 0 to 1; None while nobody knows."""
    if job.state is JobState.SUCCEEDED:
        return 1.0
    if job.total <= 0 or not is_main_unit(job.kind, job.unit):
        return None
    return min(1.0, max(0.0, job.done / job.total))


def is_main_unit(kind: str, unit: str) -> bool:
    """Whether progress in this unit is the job's own; a fine-tuning also counts the tensors that it loads first."""
    return kind != "finetune" or unit in ("step", "")


def _progress_text(job: Job, share: float | None) -> str:
    if job.state in _STILL and job.stage:
        return job.stage.split(". ")[0].rstrip(".")  # the whole of it stands below the table
    match job.state:
        case JobState.QUEUED:
            return "Waiting"
        case JobState.RUNNING | JobState.PAUSED:
            text = "" if share is None else percent_text(share)
            if job.state is JobState.PAUSED:
                return f"Paused {text}".strip()
            return job.stage or "Finishing" if share == 1 else text or job.stage or "Starting"
        case _:
            return job.state.value.capitalize()


def _running_s(job: Job, now_s: float) -> float | None:
    return None if job.started is None else max(0.0, now_s - job.started)


def _left_s(job: Job) -> float | None:
    """As its worker says; what was expected before it said how far it is does not count down."""
    return job.eta_s if job.state is JobState.RUNNING and job.total else None


_SORT_KEYS: dict[str, Callable[[Job], Any]] = {
    "name": lambda job: job.name.lower(),
    "state": lambda job: _ORDER.index(job.state),
    "method": lambda job: method_text(job).lower(),
    "model": lambda job: model_name(job).lower(),
    "progress": progress_share,
    "left": _left_s,
    "loss": lambda job: job.loss,
    "time": lambda job: job.duration_s,
    "when": lambda job: job.started or job.created,
}
