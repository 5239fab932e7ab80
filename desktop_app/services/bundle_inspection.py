"""What the inspect service tells of a bundle and of what is packed: what it holds, how large, whether it fits here."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from desktop_app import paths
from desktop_app.domain.job import job_name
from desktop_app.domain.spec import ComputingSpec, parse_spec
from desktop_app.errors import AppError
from desktop_app.hardware.disk import free_bytes
from desktop_app.hardware.sensors import machine_sample
from desktop_app.library.bundle import BundleReader
from desktop_app.memory_plan import memory_plan
from desktop_app.memory_plan.work_size import work_bytes


def look_at_bundle(path: str) -> dict[str, Any]:
    """Describe a bundle by its list; no content is read.

    The answer holds name, parts, size_bytes, file_count, job (its name, '' for none), needs_model (the name of the
    model that stayed behind, '' if it came along), room (whether the disk has place for it), and of a job that loads
    a model `verdict` and `sentence` of its plan here.

    Raises:
        AppError: it is no bundle, or its list is damaged or names files that no bundle has.
    """
    with BundleReader(Path(path)) as reader:
        bundle = reader.bundle
    model = bundle.facts.name.rpartition("/")[2] if bundle.facts else ""
    answer: dict[str, Any] = {
        "name": bundle.name,
        "parts": list(bundle.parts),
        "size_bytes": bundle.size_bytes,
        "file_count": len(bundle.files),
        "job": "",
        "needs_model": model if bundle.spec is not None and "model" not in bundle.parts else "",
        "free_bytes": free_bytes(paths.models_dir()),
        "verdict": "",
        "sentence": "",
    }
    if bundle.spec is None:
        return answer
    spec = parse_spec(bundle.spec | {"model": bundle.spec.get("model") or model or "model"})
    answer["job"] = job_name(spec)
    if isinstance(spec, ComputingSpec) and bundle.facts is not None:
        try:
            plan = memory_plan(spec, bundle.facts, machine_sample())
        except AppError as error:
            return answer | {"sentence": str(error)}
        answer |= {"verdict": plan.verdict, "sentence": plan.sentence}
    return answer


def job_bytes(spec: dict[str, Any]) -> int:
    """Say how many bytes a job goes through, 0 where nobody knows; `spec` is that of a job.

    Raises:
        AppError: as `memory_plan.work_size.work_bytes`.
    """
    return work_bytes(parse_spec(spec))


METHODS: dict[str, Callable[..., Any]] = {"look_at_bundle": look_at_bundle, "work_bytes": job_bytes}
