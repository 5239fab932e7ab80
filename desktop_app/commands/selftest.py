"""Try everything with the demo model, offline: fine-tune, quantize, load both results afresh and measure them.

Each step is a detached worker under a supervisor, as the window starts them, in a data folder of its own that
is removed if all is well.
"""

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from desktop_app import paths, process
from desktop_app.domain.evaluate_spec import EvaluateSpec
from desktop_app.domain.evaluation import REPORT_FILE, EvaluationReport, Measurement
from desktop_app.domain.finetune_spec import FinetuneSpec
from desktop_app.domain.job import Job, JobState
from desktop_app.domain.quantize_spec import QuantizeSpec
from desktop_app.domain.spec import JobSpec
from desktop_app.errors import AppError, JobError
from desktop_app.job_folder import JobFolder, job_folders
from desktop_app.jobs import submit
from desktop_app.jobs.row import row_from_folder

from .checks import Check, adapter_checks, quantized_checks, whole_result, words_check
from .text import duration_text, json_text

_PATIENCE_S = 300.0
_STEPS = 30
_ROWS = 24
_PROMPTS = 4


def selftest(as_json: bool) -> int:
    """Run the self-test; 0 if every check passed, 1 otherwise."""
    started = time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="whetstone-selftest-"))
    os.environ["WHETSTONE_DATA_DIR"] = str(folder)
    os.environ.pop("WHETSTONE_FAKE_WORKER", None)
    found: list[Check] = []
    for check in _checks(paths.demo_model(), paths.demo_data()):
        found.append(check)
        if not as_json:
            _print(check)
    passed = sum(check.is_passed for check in found)
    is_passed = passed == len(found)
    took_s = time.monotonic() - started
    if as_json:
        print(
            json_text({"passed": is_passed, "seconds": round(took_s, 1), "checks": [asdict(check) for check in found]})
        )
    else:
        print(f"{passed} of {len(found)} checks passed in {duration_text(took_s)}.")
    if is_passed:
        shutil.rmtree(folder, ignore_errors=True)
        return 0
    print(f"Everything that was written stays in {folder}.", file=sys.stderr)
    return 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What the first two jobs made: result folders, and what the fine-tuning measured."""

    adapter: Path
    trained: dict[str, Any]
    quantized: Path


def examined(model: Path, data: Path, made: Made) -> Iterator[Check]:
    """Load both results in fresh processes and hold what comes out against the bounds."""
    known_text = data.read_text(encoding="utf-8")
    yield whole_result("adapter", made.adapter)
    measured = _finished(_evaluation(made.adapter, model, data))
    found = _of_variant(measured)
    yield _ended("loading and measuring the adapter", measured)
    yield from adapter_checks(made.adapter, made.trained, _summary(found))
    yield words_check("adapter", _answers(found), known_text)
    yield whole_result("NF4", made.quantized)
    measured = _finished(_evaluation(made.quantized, model, data))
    found = _of_variant(measured)
    yield _ended("loading and measuring the NF4 model", measured)
    yield from quantized_checks(model, made.quantized, _summary(found))
    yield words_check("NF4", _answers(found), known_text)


def make(model: Path, data: Path) -> Iterator[Check | Made]:
    """Fine-tune and quantize; yields how each went and, if both went well, what they made."""
    jobs = [submit.submit(spec) for spec in _making(model, data)]
    trained, quantized = (_waited_for(submit.folder_of(job_id)) for job_id in jobs)
    yield _ended("fine-tuning by LoRA", trained)
    yield _ended("quantizing to NF4", quantized)
    if trained.state is quantized.state is JobState.SUCCEEDED:
        yield Made(adapter=Path(trained.result), trained=trained.summary, quantized=Path(quantized.result))


def _checks(model: Path, data: Path) -> Iterator[Check]:
    try:
        for step in make(model, data):
            if isinstance(step, Check):
                yield step
            else:
                yield from examined(model, data, step)
    except KeyboardInterrupt:
        _cancel_all()
        raise
    except (AppError, OSError) as error:
        yield Check(name="self-test", value=str(error), bound="no problem", is_passed=False)
    yield _nobody_left()


def _making(model: Path, data: Path) -> tuple[JobSpec, JobSpec]:
    return (
        FinetuneSpec(
            model=str(model),
            data=str(data),
            name="self-test",
            max_steps=_STEPS,
            learning_rate=2e-3,
            held_out=0.1,
            batch_size=4,
            gradient_accumulation=1,
            max_length=128,
        ),
        QuantizeSpec(model=str(model), name="self-test", method="nf4"),
    )


def _evaluation(result: Path, original: Path, data: Path) -> EvaluateSpec:
    return EvaluateSpec(
        model=str(original), variants=(str(result),), data=str(data), name="self-test", max_rows=_ROWS, max_length=128,
        max_new_tokens=32, questions=_PROMPTS,
    )  # fmt: skip


def _finished(spec: JobSpec) -> Job:
    return _waited_for(submit.folder_of(submit.submit(spec)))


def _waited_for(folder: JobFolder) -> Job:
    if not process.wait_until(lambda: folder.has_outcome, _PATIENCE_S, step_s=0.1):
        submit.cancel(folder.id)
        raise JobError(
            f"Job {folder.id} did not end within {duration_text(_PATIENCE_S)}.", f"Its log is {folder.console_file}."
        )
    return row_from_folder(folder)


def _ended(what: str, job: Job) -> Check:
    took = "" if job.duration_s is None else f" in {duration_text(job.duration_s)}"
    value = f"{job.state}{took}" if job.state is JobState.SUCCEEDED else f"{job.state}: {job.message}"
    return Check(name=what, value=value, bound="succeeded", is_passed=job.state is JobState.SUCCEEDED)


def _of_variant(job: Job) -> Measurement | None:
    """What was measured of the one variant; None if nothing was."""
    file = Path(job.result) / REPORT_FILE
    return EvaluationReport.model_validate_json(file.read_bytes()).models[1] if job.result else None


def _summary(found: Measurement | None) -> dict[str, Any]:
    if found is None or found.loss is None or found.mean_kl is None:
        return {}
    return {"loss": found.loss.value, "mean_kl": found.mean_kl.value, "quantization": found.held_as}


def _answers(found: Measurement | None) -> list[str]:
    return [answer.answer for answer in found.answers] if found is not None else []


def _nobody_left() -> Check:
    process.wait_until(lambda: not submit.is_supervised(), 15)
    workers = [folder.read_process() for folder in job_folders(paths.jobs_dir())]
    left = sum(one is not None and process.find_by_nonce(one.nonce) is not None for one in workers)
    left += submit.is_supervised()
    return Check(name="processes left", value=str(left), bound="0", is_passed=left == 0)


def _cancel_all() -> None:
    for folder in job_folders(paths.jobs_dir()):
        if not folder.has_outcome:
            submit.cancel(folder.id)


def _print(check: Check) -> None:
    mark = "ok  " if check.is_passed else "FAIL"
    print(f"{mark}  {check.name}: {check.value} ({check.bound})", flush=True)
