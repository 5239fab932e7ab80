"""Make a bundle: a model, and a job with its data, result and checkpoints, as one folder or zip with its checksums.

Paths in the job's settings become places in the bundle, so that the other computer finds them. Needs no torch.

Summary: size_bytes, files, seconds, bytes_per_s.
"""

import os
import shutil
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from desktop_app import __version__, paths
from desktop_app.domain.bundle_spec import Bundle, BundleFile, BundlePart, BundleSpec
from desktop_app.domain.finetune_spec import FinetuneSpec
from desktop_app.domain.job import job_name
from desktop_app.domain.preset import preset_text
from desktop_app.domain.spec import JobSpec, as_json
from desktop_app.errors import JobError
from desktop_app.hardware.disk import check_space, refuse_too_large
from desktop_app.job_folder import JobFolder
from desktop_app.library.bundle import BUNDLE, BundleEntry, BundleReader
from desktop_app.library.model_files import list_model_files
from desktop_app.library.model_folder import check_model_folder
from desktop_app.result_folder import ResultFolder
from desktop_app.training_data.overlay import read_overlay, write_overlay

from .byte_progress import ByteProgress
from .copying import JOURNAL, Source, check_copies, copied_into, copy_files, file_digest
from .finished import Finished
from .model_companions import TOKENIZER_FILES
from .provenance import headers_fingerprint, provenance
from .reporter import Reporter

_RUN_FILES = ("events.jsonl", "machine.jsonl", "console.log", "note.txt", "marks.json", "outcome.json")
_TOO_LARGE = "Leave the files as a folder, not as a zip; or take a disk formatted as exFAT, NTFS or ext4."
_README = """A bundle of Whetstone {version}: {name}

On the other computer: Models, Bring in a bundle; or

    python main.py bundle open THIS

Every file is compared with the checksums in bundle.json before anything of it is used.
"""


@dataclass(slots=True)
class _Packing:
    """The files that go along, and the settings with their places in the bundle."""

    work: Path
    sources: dict[str, Source] = field(default_factory=dict)

    def add(self, name: str, path: Path) -> None:
        state = path.stat()
        self.sources[name] = Source(path=path, name=name, size=state.st_size, changed_ns=state.st_mtime_ns)

    def add_folder(self, prefix: str, folder: Path) -> None:
        for name in list_model_files(folder).all:
            if not any(part.startswith(".") for part in name.split("/")):
                self.add(f"{prefix}/{name}", folder / name)

    def write(self, name: str, text: str) -> None:
        file = self.work / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8", newline="\n")
        self.add(name, file)


def make_bundle(spec: BundleSpec, job: JobFolder, reporter: Reporter) -> Finished:
    """Make the bundle and return its folder.

    Raises:
        AppError: something outside this program prevents it.
        CancelledByUser: the user ended it.
    """
    final = Path(spec.output or job.path / "result")
    work = job.path / "bundle"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    try:
        reporter.stage("Looking at what goes along")
        packing = _Packing(work)
        bundle = _packed(spec, packing)
        sources = [packing.sources[name] for name in sorted(packing.sources)]
        size = sum(source.size for source in sources)
        check_space(size, final.parent)
        largest = max(sources, key=lambda source: source.size)
        if spec.as_zip:
            refuse_too_large(final, "The zip file", size, _TOO_LARGE)
        refuse_too_large(final, largest.name, largest.size, _TOO_LARGE)
        result = ResultFolder(final, job.id)
        try:
            progress = ByteProgress(
                reporter, (3 if spec.as_zip else 2) * size
            )  # once over; back, a zip by its entries too
            reporter.stage("Packing" if spec.as_zip else "Copying")
            write = _write_zip if spec.as_zip else _write_folder
            digests = write(sources, bundle, result.part, reporter, progress)
            result.finish(provenance(spec), lambda part: None, digests)
        except BaseException:
            result.discard()
            raise
    finally:
        shutil.rmtree(work, ignore_errors=True)
    seconds = reporter.worked_s()
    return Finished(
        result=final,
        summary={
            "size_bytes": size,
            "files": len(sources),
            "seconds": round(seconds, 2),
            "bytes_per_s": round(size / max(seconds, 0.01)),
        },
        checks={"checksums": f"{len(sources)} files read back, all as they were written"},
    )


def _packed(spec: BundleSpec, packing: _Packing) -> dict[str, Any]:
    """Collect the files; return what bundle.json says beside their checksums."""
    model = Path(spec.model)
    facts = check_model_folder(model)
    parts: list[BundlePart] = [part for part in spec.parts if spec.job or part in ("model", "tokenizer")]
    place = f"model/{paths.portable_name(model.name)}"
    if "model" in parts:
        packing.add_folder(place, model)
    if "tokenizer" in parts:
        for name in TOKENIZER_FILES:
            if (model / name).is_file():
                packing.add(f"tokenizer/{name}", model / name)
    about: dict[str, Any] = {
        "made_by": __version__,
        "name": paths.portable_name(model.name),
        "facts": facts.model_copy(update={"path": place, "origin": None}).model_dump(mode="json"),
        "model_headers": headers_fingerprint(model),
        "parts": parts,
    }
    if spec.job:
        run = JobFolder(paths.jobs_dir() / spec.job)
        about |= _packed_job(run, parts, place if "model" in parts else "", packing)
    packing.write("README.md", _README.format(version=__version__, name=about["name"]))
    return about


def _packed_job(run: JobFolder, parts: list[BundlePart], model_place: str, packing: _Packing) -> dict[str, Any]:
    if not run.has_outcome:
        raise JobError(
            f"Job {run.id} has not ended.", "Cancel it first; its checkpoints stay, and it can go on from them there."
        )
    settings = run.read_spec()
    changes: dict[str, Any] = {"model": model_place}
    if hasattr(settings, "output"):
        changes["output"] = None
    changes |= _packed_data(settings, "data" in parts, packing)
    if "preset" in parts and isinstance(settings, FinetuneSpec):
        packing.write("preset.yaml", preset_text(settings))
    if "report" in parts:
        for name in _RUN_FILES:
            if (run.path / name).is_file():
                packing.add(f"run/{name}", run.path / name)
    if "checkpoint" in parts:
        for folder in sorted(run.checkpoints_dir.glob("step-*")):
            packing.add_folder(f"run/checkpoints/{folder.name}", folder)
    result = run.read_result()
    if "result" in parts and result is not None:
        packing.add_folder("result", result)
    shown = settings.model_dump(mode="json") | {name: as_json(value) for name, value in changes.items()}
    return {"name": paths.portable_name(job_name(settings)), "job": run.id, "spec": shown}


def _packed_data(settings: JobSpec, goes_along: bool, packing: _Packing) -> dict[str, Any]:
    """Add the data files; return the fields of the settings that name them, with their places in the bundle."""
    changes: dict[str, Any] = {}
    moved: dict[str, str] = {}  # from where each file comes: its place below data/
    for name in ("data", "more_data", "evaluation_data", "calibration_data"):
        value = getattr(settings, name, None)
        if not value:
            continue
        listed = value if isinstance(value, tuple) else (value,)
        placed = tuple(_packed_path(Path(path), moved, packing) if goes_along else "" for path in listed)
        changes[name] = placed if isinstance(value, tuple) else placed[0] or value
        if isinstance(value, tuple) and not goes_along:
            changes[name] = value
    overlay = getattr(settings, "overlay", None)
    if overlay and goes_along:
        edits = read_overlay(Path(overlay))
        folder = Path(overlay).absolute().parent
        edits.files = {moved.get(str(folder / key), key): rows for key, rows in edits.files.items()}
        file = packing.work / "data" / "rows.edits"
        file.parent.mkdir(exist_ok=True)
        write_overlay(file, edits)
        packing.add("data/rows.edits", file)
        changes["overlay"] = "data/rows.edits"
    return changes


def _packed_path(path: Path, moved: dict[str, str], packing: _Packing) -> str:
    place = f"{len({name.partition('/')[0] for name in moved.values()}) + 1}/{paths.portable_name(path.name)}"
    files: Iterable[Path] = [path] if path.is_file() else [each for each in sorted(path.rglob("*")) if each.is_file()]
    for file in files:
        below = file.relative_to(path).as_posix() if path.is_dir() else ""
        if file.is_symlink() or any(part.startswith(".") for part in below.split("/") if part):
            continue
        name = f"{place}/{below}" if below else place
        packing.add(f"data/{name}", file)
        moved[str(file.absolute())] = name
    return f"data/{place}"


def _listed(about: dict[str, Any], sources: list[Source], digests: dict[str, str]) -> str:
    files = {source.name: BundleFile(size=source.size, sha256=digests[source.name]) for source in sources}
    return Bundle(**about, files=files).model_dump_json(indent=1)


def _write_folder(
    sources: list[Source], about: dict[str, Any], part: Path, reporter: Reporter, progress: ByteProgress
) -> dict[str, str]:
    digests = copy_files(sources, part, progress)
    reporter.stage("Reading it back")
    check_copies(part, digests, progress)
    (part / JOURNAL).unlink(missing_ok=True)
    (part / BUNDLE).write_text(_listed(about, sources, digests), encoding="utf-8", newline="\n")
    BundleReader(part).close()  # as the other computer will open it
    return digests


def _write_zip(
    sources: list[Source], about: dict[str, Any], part: Path, reporter: Reporter, progress: ByteProgress
) -> dict[str, str]:
    name = f"{about['name']}.zip"
    digests: dict[str, str] = {}
    with zipfile.ZipFile(part / name, "w", zipfile.ZIP_STORED) as archive:  # weights do not shrink
        for source in sources:
            entry = zipfile.ZipInfo.from_file(source.path, source.name, strict_timestamps=False)
            with archive.open(entry, "w", force_zip64=True) as target:
                digests[source.name] = copied_into(source, target, progress)
        archive.writestr(BUNDLE, _listed(about, sources, digests))
    with (part / name).open("rb+") as stream:
        os.fsync(stream.fileno())
    reporter.stage("Reading it back")
    digest = file_digest(part / name, progress, from_disk=True)
    with BundleReader(part / name) as reader:  # as the other computer will
        for each in reader.entries:
            copied_into(entry_source(each), _Nowhere(), progress)
    return {name: digest}


class _Nowhere:
    """Takes what is read to be compared only."""

    def write(self, block: bytes) -> int:
        return len(block)


def entry_source(entry: BundleEntry) -> Source:
    """Make a file of a bundle one to copy, with the checksum that it must have."""
    return Source(
        path=entry.path,
        name=entry.name,
        size=entry.size,
        changed_ns=entry.changed_ns,
        sha256=entry.sha256,
        reading=entry.open,
    )
