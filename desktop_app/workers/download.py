"""Download a model from a hub: each file goes on where a cut left it, and is compared with the hub's checksum.

Needs no torch. The only job with the network. The commit is fixed by the first attempt, so that no attempt mixes two.

Summary: size_bytes, files, seconds, bytes_per_s.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from desktop_app.domain.download_spec import DownloadSpec
from desktop_app.durable_file import move_into_place, write_synced
from desktop_app.errors import NetworkError, SpecError
from desktop_app.hardware.disk import check_space
from desktop_app.hub.repository import HubFile, Repository, read_repository, suggested_files
from desktop_app.hub.token import hub_token
from desktop_app.hub.words import hub_errors_in_words
from desktop_app.job_folder import JobFolder
from desktop_app.library.model_folder import listed_facts
from desktop_app.result_folder import ResultFolder

from .bring_in import is_finished_by
from .byte_progress import ByteProgress
from .finished import Finished
from .provenance import provenance
from .reporter import Reporter

_JOURNAL = ".download.json"
_PARTIAL = ".incomplete"
_CHUNK_BYTES = 256 * 1024
_BLOCK_BYTES = 4 * 1024 * 1024


def download(spec: DownloadSpec, job: JobFolder, reporter: Reporter) -> Finished:
    """Download the files and return their folder.

    Raises:
        AppError: something outside this program prevents it.
        CancelledByUser: the user ended it; what was downloaded until then stays.
    """
    final = Path(spec.output or job.path / "result")
    if is_finished_by(job.id, final):  # an earlier attempt ended between the rename and its last word
        return Finished(result=final, summary={}, checks={"checksums": "the files are as they were downloaded"})
    result = ResultFolder(final, job.id, made_for=f"download {spec.repo} {spec.revision}")
    token = hub_token()
    reporter.stage(f"Asking the hub for {spec.repo}")
    repository = read_repository(spec.repo, _fixed_commit(result.part) or spec.revision, token)
    files = _chosen(spec, repository)
    write_synced(result.part / _JOURNAL, json.dumps({"commit": repository.commit}))
    size = sum(file.size for file in files)
    had = sum(min(file.size, _bytes_there(result.part / file.name)) for file in files)
    check_space(size - had, result.part.parent)
    fetching = _Fetching(repository, result.part, token, ByteProgress(reporter, size), reporter)
    digests = {file.name: fetching.fetch(file) for file in files}
    (result.part / _JOURNAL).unlink(missing_ok=True)
    about = provenance(spec)
    about["source"] |= {"commit": repository.commit, "licence": repository.licence}
    result.finish(about, lambda part: None, digests)
    facts = listed_facts(_model_in(final, files))
    if facts.problem and facts.kind != "gguf":
        reporter.notice(f"{facts.problem} {facts.hint}", "warning")
    seconds = reporter.worked_s()
    checked = sum(bool(file.sha256 or file.git_sha1) for file in files)
    return Finished(
        result=final,
        summary={
            "size_bytes": size,
            "files": len(files),
            "seconds": round(seconds, 2),
            "bytes_per_s": round((size - had) / max(seconds, 0.01)),
        },
        checks={"checksums": f"{checked} of {len(files)} files as the hub states them"},
    )


@dataclass(slots=True)
class _Fetching:
    repository: Repository
    part: Path
    token: str
    progress: ByteProgress
    reporter: Reporter

    def fetch(self, file: HubFile) -> str:
        """Download one file unless it is there already; return its SHA-256.

        Raises:
            NetworkError: the hub cannot be reached, or gives something else than it states.
        """
        target = self.part / file.name
        if target.is_file() and target.stat().st_size == file.size:
            digest = self._checked(target, file)
            if digest:
                self.progress.add(file.size)
                return digest
            target.unlink()
        self.reporter.stage(f"Downloading {file.name}")
        for _ in range(2):  # what a cut connection left may be spoiled: once from the beginning
            partial = self._fetched(file, target)
            digest = self._checked(partial, file)
            if digest:
                move_into_place(partial, target)
                return digest
            partial.unlink()
            self.progress.add(-file.size)
        raise NetworkError(
            f"{file.name} is not what the hub states: its checksum differs.",
            "Try again later; if it happens again, something between you and the hub changes the file.",
        )

    def _fetched(self, file: HubFile, target: Path) -> Path:
        from huggingface_hub import constants, hf_hub_url
        from huggingface_hub.file_download import http_get
        from huggingface_hub.utils._headers import build_hf_headers

        # The library's own 10 MB would be lost with each cut, and be the step of progress and of cancelling.
        constants.DOWNLOAD_CHUNK_SIZE = _CHUNK_BYTES
        partial = target.with_name(target.name + _PARTIAL)
        partial.parent.mkdir(parents=True, exist_ok=True)
        if partial.exists() and partial.stat().st_size > file.size:
            partial.unlink()
        headers = {**build_hf_headers(token=self.token or False), "Accept-Encoding": "identity"}
        with partial.open("ab") as stream, hub_errors_in_words(self.repository.name):
            had = stream.seek(0, 2)
            self.progress.add(had)
            http_get(
                hf_hub_url(self.repository.name, file.name, revision=self.repository.commit),
                stream,
                resume_size=had,
                headers=headers,
                expected_size=file.size,
                tqdm_class=_bar_of(self.progress, had),
            )
        return partial

    def _checked(self, path: Path, file: HubFile) -> str:
        """Return the SHA-256 of what is there, '' if it is not what the hub states."""
        sha256, git_sha1 = hashlib.sha256(), hashlib.sha1(b"blob %d\0" % file.size, usedforsecurity=False)
        with path.open("rb") as stream:
            while block := stream.read(_BLOCK_BYTES):
                sha256.update(block)
                git_sha1.update(block)
                self.reporter.heed()
        digest = sha256.hexdigest()
        is_right = path.stat().st_size == file.size
        if file.sha256:
            is_right = is_right and digest == file.sha256
        elif file.git_sha1:
            is_right = is_right and git_sha1.hexdigest() == file.git_sha1
        return digest if is_right else ""


def _bar_of(progress: ByteProgress, had: int) -> Any:
    """Make what stands where the library would draw a progress bar.

    It is told where the file begins: at 0 although `had` bytes were there, if the server cannot go on in the middle.
    """

    class Bar:
        def __init__(self, *_: Any, initial: int = 0, **__: Any) -> None:
            progress.add(initial - had)

        def update(self, count: int) -> None:
            progress.add(count)

        def __enter__(self) -> "Bar":
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def close(self) -> None:
            pass

    return Bar


def _chosen(spec: DownloadSpec, repository: Repository) -> list[HubFile]:
    by_name = {file.name: file for file in repository.files}
    wanted = spec.files or suggested_files(repository.files)
    missing = [name for name in wanted if name not in by_name]
    if missing:
        raise SpecError(f"files: {spec.repo} has no file {missing[0]!r}.", "Look at its list of files.", "files")
    if not wanted:
        raise SpecError(f"{spec.repo} holds no weights that could be used here.", "Choose its files yourself.", "files")
    return [by_name[name] for name in wanted]


def _fixed_commit(part: Path) -> str:
    try:
        commit = json.loads((part / _JOURNAL).read_bytes())["commit"]
    except (OSError, ValueError, KeyError, TypeError):
        return ""
    return commit if isinstance(commit, str) else ""


def _bytes_there(file: Path) -> int:
    for place in (file, file.with_name(file.name + _PARTIAL)):
        if place.is_file():
            return place.stat().st_size
    return 0


def _model_in(folder: Path, files: list[HubFile]) -> Path:
    gguf = [file.name for file in files if file.name.lower().endswith(".gguf")]
    return folder / gguf[0] if gguf and not (folder / "config.json").is_file() else folder
