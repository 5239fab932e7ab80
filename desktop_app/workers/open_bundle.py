"""Take in a bundle: every file is compared with its checksum; then its job stands in the history, ready to go on.

Model and data come into one folder, the job into a folder among the others, both whole or not at all. Needs no torch.

Summary: size_bytes, files, seconds, bytes_per_s, imported_job.
"""

import hashlib
import json
import re
import shutil
import tempfile
import time
from datetime import datetime
from pathlib import Path
from typing import Any

from desktop_app import paths
from desktop_app.domain.bundle_spec import Bundle, OpenBundleSpec
from desktop_app.domain.job import JobState, make_job_id
from desktop_app.domain.spec import ComputingSpec, JobSpec, parse_spec
from desktop_app.durable_file import move_into_place, sync_dir, write_synced
from desktop_app.errors import ModelError, SpecError, StorageError
from desktop_app.hardware.disk import check_space
from desktop_app.hardware.sensors import machine_sample
from desktop_app.job_folder import JobFolder, Outcome
from desktop_app.library.adapter_folder import ADAPTER_CONFIG
from desktop_app.library.bundle import BundleReader
from desktop_app.library.json_file import read_json_object
from desktop_app.library.model_folder import listed_facts
from desktop_app.library.origin import read_strange_manifest
from desktop_app.memory_plan import memory_plan
from desktop_app.result_folder import MANIFEST, ResultFolder, manifest_problems, write_manifest

from .bring_in import is_finished_by
from .bundle import entry_source
from .byte_progress import ByteProgress
from .copying import JOURNAL, check_copies, copy_files
from .finished import Finished
from .provenance import headers_fingerprint, provenance
from .reporter import Reporter

_JOB_ID = re.compile(r"[0-9]{8}-[0-9]{6}-[a-z0-9-]{1,60}")
_NOT_RUN_HERE = "It came here in a bundle and has not gone on yet."
_PLACES = ("model", "data", "evaluation_data", "calibration_data", "overlay")
_MOST_JSON_BYTES = 4 * 1024 * 1024


def open_bundle(spec: OpenBundleSpec, job: JobFolder, reporter: Reporter) -> Finished:
    """Check and take in the bundle; return the folder of its model and data.

    Raises:
        AppError: something outside this program prevents it; a damaged file is named.
        CancelledByUser: the user ended it; what was copied until then stays.
    """
    final = Path(spec.output or job.path / "result")
    if is_finished_by(job.id, final):
        return Finished(result=final, summary={}, checks={"checksums": "the files are as they were taken in"})
    reporter.stage("Reading the bundle's list")
    with BundleReader(Path(spec.bundle)) as reader:
        bundle = reader.bundle
        settings = _settings(bundle, spec, final)
        size = bundle.size_bytes
        result = ResultFolder(final, job.id, made_for=f"bundle {spec.bundle} {_fingerprint(bundle)}")
        done = sum(path.stat().st_size for path in result.part.rglob("*") if path.is_file())
        check_space(max(0, size - done), result.part.parent, paths.data_dir())
        progress = ByteProgress(reporter, 2 * size)  # once over, once back
        reporter.stage("Copying")
        digests = copy_files([entry_source(entry) for entry in reader.entries], result.part, progress)
    reporter.stage("Reading it back")
    check_copies(result.part, digests, progress)
    (result.part / JOURNAL).unlink(missing_ok=True)
    checks = {"checksums": f"{len(digests)} files are those that were packed"}
    run = None if settings is None else _prepared_run(settings, result.part)
    try:
        _check_models(result.part)
        kept = {name: digest for name, digest in digests.items() if (result.part / name).is_file()}
        result.finish(provenance(spec) | {"origin": _origin(result.part)}, lambda part: None, kept)
        job_id = "" if run is None or settings is None else _shown(run, settings, bundle)
    except BaseException:
        if run is not None:
            shutil.rmtree(run, ignore_errors=True)
        raise
    checks |= _fits(settings, reporter)
    if bundle.spec is not None and "data" not in bundle.parts:
        checks["data"] = "did not come along; the job goes on only where its data lie at the same place"
    seconds = reporter.worked_s()
    return Finished(
        result=final,
        summary={
            "size_bytes": size,
            "files": len(digests),
            "seconds": round(seconds, 2),
            "bytes_per_s": round(size / max(seconds, 0.01)),
            "imported_job": job_id,
        },
        checks=checks,
    )


def _fingerprint(bundle: Bundle) -> str:
    return hashlib.sha256(bundle.model_dump_json().encode()).hexdigest()


def _settings(bundle: Bundle, spec: OpenBundleSpec, final: Path) -> JobSpec | None:
    """Return the job's settings with the places that its files will have here; None if no job came along.

    Raises:
        SpecError: the model is neither in the bundle nor named, or the settings are wrong.
        ModelError: the model that is named is another one.
    """
    if bundle.spec is None:
        return None
    raw: dict[str, Any] = dict(bundle.spec)
    for name in _PLACES:
        value = raw.get(name)
        if isinstance(value, str) and _is_inside(value, bundle):
            raw[name] = str(final / value)
    more = raw.get("more_data")
    if isinstance(more, list):
        raw["more_data"] = [str(final / each) if _is_inside(str(each), bundle) else each for each in more]
    if "model" not in bundle.parts:
        raw["model"] = str(_own_model(bundle, spec))
    if "output" in raw:
        raw["output"] = None
    return parse_spec(raw)


def _is_inside(place: str, bundle: Bundle) -> bool:
    return place in bundle.files or any(name.startswith(f"{place}/") for name in bundle.files)


def _own_model(bundle: Bundle, spec: OpenBundleSpec) -> Path:
    name = bundle.facts.name if bundle.facts else "its model"
    if spec.model is None:
        raise SpecError(
            f"model: the bundle holds a job and not {name}, which it works on.",
            f"Name the folder of {name} on this computer.",
            "model",
        )
    model = Path(spec.model)
    if bundle.model_headers and headers_fingerprint(model) != bundle.model_headers:
        raise ModelError(
            f"{model} is not the model that the job works on ({name}): its config or weights differ.",
            "Bring that model here, or make the bundle anew with the model in it.",
        )
    return model


def _prepared_run(settings: JobSpec, part: Path) -> Path:
    """Make the job's folder aside: settings, what happened, checkpoints, result."""
    jobs = paths.make_private_dir(paths.jobs_dir())
    run = Path(tempfile.mkdtemp(prefix=".new-", dir=jobs))
    if (part / "run").is_dir():
        for path in sorted((part / "run").iterdir()):
            shutil.move(path, run / path.name)
        (part / "run").rmdir()
    if (part / "result").is_dir():
        shutil.move(part / "result", run / "result")
        _point_adapter_to(run / "result", Path(str(getattr(settings, "model", ""))))
    write_synced(run / "spec.json", json.dumps(settings.model_dump(mode="json"), indent=2, allow_nan=False))
    _check_checkpoints(run)
    return run


def _check_checkpoints(run: Path) -> None:
    for folder in sorted((run / "checkpoints").glob("step-*")):
        problems = manifest_problems(folder)
        if problems:
            raise StorageError(f"The checkpoint {folder.name} is damaged: {problems[0]}.", "Make the bundle anew.")


def _point_adapter_to(result: Path, model: Path) -> None:
    """Tell an adapter where its base lies on this computer."""
    file = result / ADAPTER_CONFIG
    manifest = read_strange_manifest(result)
    if file.is_file():
        config = read_json_object(file, _MOST_JSON_BYTES) | {"base_model_name_or_path": str(model)}
        file.write_text(json.dumps(config, indent=2), encoding="utf-8", newline="\n")
    (result / MANIFEST).unlink(missing_ok=True)
    write_manifest(result, {name: value for name, value in manifest.items() if name not in ("files", "version")})


def _shown(run: Path, settings: JobSpec, bundle: Bundle) -> str:
    """Give the job's folder its name, by which it is in the history; return its id."""
    jobs = run.parent
    wanted = bundle.job if _JOB_ID.fullmatch(bundle.job) and not (jobs / bundle.job).exists() else ""
    job_id = wanted or make_job_id(settings, datetime.now())
    _say_new_place(run, jobs / job_id)
    folder = JobFolder(run)
    outcome = folder.read_outcome()
    if outcome is None or (outcome.state is JobState.SUCCEEDED and not (run / "result").is_dir()):
        folder.write_outcome(
            Outcome(
                state=JobState.INTERRUPTED,
                ended=time.time(),
                error="job",
                message=_NOT_RUN_HERE,
                hint="Resume it; it goes on from its newest checkpoint.",
            )
        )
    move_into_place(run, jobs / job_id)
    sync_dir(jobs)
    return job_id


def _say_new_place(run: Path, home: Path) -> None:
    """Let the event that announces the result name its place on this computer."""
    file = run / "events.jsonl"
    if not file.is_file():
        return
    lines = []
    for line in file.read_bytes().split(b"\n"):
        if b'"succeeded"' in line:
            try:
                event = json.loads(line)
            except ValueError:
                continue
            event["result"] = str(home / "result") if (run / "result").is_dir() else ""
            line = json.dumps(event).encode()
        lines.append(line)
    file.write_bytes(b"\n".join(lines))


def _check_models(part: Path) -> None:
    """Judge a model that came along as any other that is brought in."""
    for folder in sorted((part / "model").glob("*")):
        facts = listed_facts(folder)
        if facts.problem and not facts.architecture:
            raise ModelError(facts.problem, facts.hint)


def _origin(part: Path) -> dict[str, Any] | None:
    model = next(iter(sorted((part / "model").glob("*"))), None)
    return None if model is None else read_strange_manifest(model) or None


def _fits(settings: JobSpec | None, reporter: Reporter) -> dict[str, str]:
    """Say whether this computer has the memory for the job that came along."""
    if not isinstance(settings, ComputingSpec):
        return {}
    facts = listed_facts(Path(settings.model))
    if facts.problem:
        return {}
    plan = memory_plan(settings, facts, machine_sample())
    if plan.verdict != "fits":
        reporter.notice(f"On this computer: {plan.sentence}", "warning")
    return {"this computer": plan.sentence}
