"""Bring a model in from elsewhere: copy or move it, check every byte, and show it only when it is whole.

Needs no torch. A move within one disk is a rename; a move to another disk removes the original only after the copy
was verified. Half a copy stays for the next attempt.

Summary: size_bytes, files, seconds, bytes_per_s.
"""

import os
import shutil
from pathlib import Path
from typing import Any

from desktop_app.domain.bring_in_spec import BringInSpec
from desktop_app.domain.model_facts import ModelFacts
from desktop_app.errors import ModelError, SpecError, StorageError
from desktop_app.hardware.disk import check_space
from desktop_app.job_folder import JobFolder
from desktop_app.library.fetch_list import HELPERS, check_fetched, fetched_origin
from desktop_app.library.model_files import list_model_files
from desktop_app.library.model_folder import gguf_parts, listed_facts
from desktop_app.library.origin import read_strange_manifest
from desktop_app.result_folder import MANIFEST, ResultFolder, manifest_problems

from .byte_progress import ByteProgress
from .copying import JOURNAL, Source, check_copies, copy_files, file_digest
from .finished import Finished
from .provenance import provenance
from .reporter import Reporter


def bring_in(spec: BringInSpec, job: JobFolder, reporter: Reporter) -> Finished:
    """Bring the model in and return its new folder.

    Raises:
        AppError: something outside this program prevents it.
        CancelledByUser: the user ended it.
    """
    source, final = Path(spec.model), Path(spec.output or job.path / "result")
    if is_finished_by(job.id, final):  # an earlier attempt ended between the rename and its last word
        return Finished(result=final, summary={}, checks={"checksums": "the files are as they were brought in"})
    reporter.stage(f"Looking at {source.name}")
    facts = _sound(source)
    sources = _files(source, final.name)
    if final.is_relative_to(source):
        raise SpecError(f"{final} lies in the model itself.", "Choose another folder.", "output")
    if spec.move:
        _check_may_move(source, sources)
    result = ResultFolder(final, job.id, made_for=f"bring in {source}")
    size = sum(file.size for file in sources)
    about = provenance(spec)
    fetched = fetched_origin(source) if source.is_dir() else None  # asked before a move takes it away
    try:
        if spec.move and _is_same_disk(source, result.part):
            digests = _moved(source, sources, result, ByteProgress(reporter, size), reporter)
        else:
            digests = _copied(source, sources, result, size, reporter)
        about["origin"] = fetched or _origin(result.part)
        (result.part / JOURNAL).unlink(missing_ok=True)
        result.finish(about, lambda part: _check_whole(part, facts), digests)
    except BaseException:
        if not source.exists() and result.part.exists():
            _move_back(source, result.part)
        _remove_if_empty(result.part)
        raise
    if spec.move and source.exists():
        _remove_originals(source, sources, reporter)
    seconds = reporter.worked_s()
    summary = {"size_bytes": size, "files": len(sources), "seconds": round(seconds, 2)}
    return Finished(
        result=final,
        summary={**summary, "bytes_per_s": round(size / max(seconds, 0.01))},
        checks={"checksums": f"{len(digests)} files read back, all as they were", "model": _model_check(facts)},
    )


def is_finished_by(job_id: str, final: Path) -> bool:
    """Whether `final` is what this very job brought in, whole."""
    try:
        return read_strange_manifest(final).get("job") == job_id and not manifest_problems(final)
    except OSError:
        return False


def _sound(source: Path) -> ModelFacts:
    """Refuse what is damaged or unsafe; what is sound but cannot be loaded here, or could be converted, may come."""
    facts = listed_facts(source)
    if facts.problem and not facts.architecture and not facts.pickle:
        raise ModelError(facts.problem, facts.hint)
    return facts


def _check_whole(part: Path, before: ModelFacts) -> None:
    """Compare the headers of the copy with those of the original."""
    after = listed_facts(part)
    if (after.architecture, after.parameters) != (before.architecture, before.parameters):
        raise StorageError(f"The copy is not the model it was copied from: {after.problem}", "Run this again.")


def _move_back(source: Path, part: Path) -> None:
    """Give a model its old place again."""
    if source.suffix.lower() == ".gguf":
        for file in part.glob("*.gguf"):
            file.rename(source.with_name(file.name))
    else:
        part.rename(source)


def _model_check(facts: ModelFacts) -> str:
    return facts.problem or f"{facts.architecture}, headers are sound"


def _files(source: Path, name: str) -> list[Source]:
    if source.is_file():
        files = {part.name: part for part in gguf_parts(source)}
        if source.suffix.lower() != ".gguf":  # a blob of Ollama
            files = {f"{name}.gguf": source}
    else:
        names = [name for name in list_model_files(source).all if name not in HELPERS and not name.startswith(".done-")]
        files = {name: source / name for name in names}
    states = {name: path.stat() for name, path in files.items()}
    return [
        Source(path=path, name=name, size=states[name].st_size, changed_ns=states[name].st_mtime_ns)
        for name, path in sorted(files.items())
    ]


def _check_may_move(source: Path, sources: list[Source]) -> None:
    """Refuse to take away what another program keeps count of."""
    if (source.is_file() and source.suffix.lower() != ".gguf") or any(file.path.is_symlink() for file in sources):
        raise SpecError(
            f"{source} belongs to the cache of another program, which would miss it.",
            "Copy it instead of moving it.",
            "move",
        )


def _copied(source: Path, sources: list[Source], result: ResultFolder, size: int, reporter: Reporter) -> dict[str, str]:
    done = sum(path.stat().st_size for path in result.part.rglob("*") if path.is_file())
    check_space(max(0, size - done), result.part.parent)
    progress = ByteProgress(reporter, 2 * size)  # once over, once back
    reporter.stage("Copying")
    digests = copy_files(sources, result.part, progress)
    _check_against_its_manifest(result.part, digests)
    _check_against_hub(source, digests, reporter)
    reporter.stage("Reading it back")
    check_copies(result.part, digests, progress)
    return digests


def _moved(
    source: Path, sources: list[Source], result: ResultFolder, progress: ByteProgress, reporter: Reporter
) -> dict[str, str]:
    """Hash in place, then rename: nothing is touched before everything was read."""
    reporter.stage("Checking it")
    digests = {file.name: file_digest(file.path, progress) for file in sources}
    if source.is_dir():
        _check_against_its_manifest(source, digests)
        _check_against_hub(source, digests, reporter)
        shutil.rmtree(result.part)
        source.rename(result.part)
    else:
        for file in sources:
            file.path.rename(result.part / file.name)
    return digests


def _check_against_hub(source: Path, digests: dict[str, str], reporter: Reporter) -> None:
    """Compare what was fetched on another computer with what the hub stated there."""
    compared = check_fetched(source, digests) if source.is_dir() else 0
    if compared:
        reporter.notice(f"{compared} files are those that the hub states.")


def _is_same_disk(source: Path, part: Path) -> bool:
    return source.stat().st_dev == part.stat().st_dev


def _check_against_its_manifest(folder: Path, digests: dict[str, str]) -> None:
    """Compare with what the job that made the model wrote down, where it came from this program.

    Raises:
        StorageError: a file is not as it was written.
    """
    for name, entry in _manifest_files(folder).items():
        wanted = entry.get("sha256") if isinstance(entry, dict) else None
        if wanted and digests.get(name) != wanted:
            what = "differs from" if name in digests else "is missing from"
            raise StorageError(
                f"{name} {what} what was written when this model was made ({MANIFEST}).",
                "It was changed or damaged since; get the model again from where it was made.",
            )


def _manifest_files(folder: Path) -> dict[str, Any]:
    files = read_strange_manifest(folder).get("files")
    return files if isinstance(files, dict) else {}


def _origin(folder: Path) -> dict[str, Any] | None:
    """What the model said of its own origin, which this manifest replaces."""
    manifest = read_strange_manifest(folder)
    earlier = manifest.get("origin")
    if isinstance(earlier, dict):
        return earlier
    return {name: value for name, value in manifest.items() if name != "files"} or None


def _remove_originals(source: Path, sources: list[Source], reporter: Reporter) -> None:
    """Remove what was copied and has not changed since; whatever else lies there stays."""
    left = []
    for file in sources:
        try:
            status = file.path.stat()
            if (status.st_size, status.st_mtime_ns) != (file.size, file.changed_ns):
                left.append(file.name)
                continue
            file.path.unlink()
        except OSError:
            left.append(file.name)
    if source.is_dir():
        for folder, _, _ in sorted(os.walk(source), reverse=True):
            _remove_if_empty(Path(folder))
    if left:
        reporter.notice(f"The original stays in part: {left[0]} could not be removed from {source}.", "warning")


def _remove_if_empty(folder: Path) -> None:
    try:
        folder.rmdir()
    except OSError:
        pass  # it holds something, or is gone
