"""The evaluation that a fine-tuning or quantization asked for: queued when it has succeeded, once.

Its id is made of the first job's, so that a supervisor that is killed in between does not queue it twice.
"""

from pathlib import Path

from desktop_app.domain.evaluate_spec import EvaluateSpec
from desktop_app.domain.finetune_spec import FinetuneSpec
from desktop_app.domain.job import Job, JobState
from desktop_app.domain.quantize_spec import QuantizeSpec
from desktop_app.domain.spec import JobSpec
from desktop_app.job_folder import JobFolder, create_job_folder

from .expectation import expectation

_ENDING = "-measured"


def queue_evaluation(folder: JobFolder, row: Job) -> None:
    """Queue what a job that has just ended asked for, if it asked.

    Raises:
        AppError: its spec cannot be read, or the disk takes no new job.
    """
    if row.state is not JobState.SUCCEEDED or not row.result or row.kind not in ("finetune", "quantize"):
        return
    spec = evaluation_of(folder.read_spec(), Path(row.result), row.name)
    following = f"{folder.id}{_ENDING}"
    if spec is not None and not (folder.path.parent / following).exists():
        create_job_folder(folder.path.parent, following, spec, expectation(spec))


def evaluation_of(spec: JobSpec, result: Path, name: str) -> EvaluateSpec | None:
    """Return the evaluation of a result that its spec asks for: each copy, or the tuned model, with the original."""
    if not isinstance(spec, FinetuneSpec | QuantizeSpec) or not spec.measure_result:
        return None
    about = {"model": spec.model, "name": f"{name}, measured"[:80], "device": spec.device, "threads": spec.threads}
    if isinstance(spec, QuantizeSpec):
        copies = [result / method for method in spec.methods] if len(spec.methods) > 1 else [result]
        return EvaluateSpec(variants=tuple(str(copy) for copy in copies), data=spec.calibration_data, **about)
    if spec.objective == "reward":
        return None  # it scores answers and writes none
    merged = (str(result / "merged"),) if spec.merge and (result / "merged").is_dir() else ()
    has_rows = spec.objective == "sft" and bool(spec.held_out or spec.evaluation_data)
    return EvaluateSpec(
        variants=(str(result), *merged),
        held_out_of=str(result) if has_rows else None,
        max_length=min(spec.max_length, 1_048_576),
        **about,
    )
