"""Export a result from a terminal: the folder of a model, or the job that made it."""

import argparse
from pathlib import Path
from typing import Any

from desktop_app.domain.export_spec import possible_forms
from desktop_app.domain.spec import parse_spec
from desktop_app.errors import JobError
from desktop_app.library.model_folder import model_facts

from .follow import run_to_end
from .history import one_job


def export_result(asked: argparse.Namespace) -> int:
    """Hand in the export and follow it; return the exit code that its end deserves.

    Raises:
        AppError: there is no such model or form, or the disk cannot hold it.
    """
    model = result_or_folder(asked.model)
    spec: dict[str, Any] = {"kind": "export", "model": model, "output": asked.output, "dtype": asked.dtype}
    spec |= {"shard_size_mb": asked.shard_size_mb, "system": asked.system}
    spec["form"] = asked.form or possible_forms(model_facts(Path(model)))[0]
    spec["gguf_type"] = f"gguf_{asked.type.lower().removeprefix('gguf_')}"
    return run_to_end(parse_spec(spec), asked.json)


def result_or_folder(text: str) -> str:
    """Understand a path, or the id of a job as the folder of its result.

    Raises:
        JobError: it is no path, and no job's id, or that job has no result.
    """
    if Path(text).exists():
        return text
    job = one_job(text)
    if not job.result:
        raise JobError(f"Job {job.id} has no result.", "Only jobs that succeeded have one.")
    return job.result
