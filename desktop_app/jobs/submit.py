"""What window, API and commands can ask for: hand in a job, and pause, stop, cancel, continue or delete one.

Writes job folders and requests only; what becomes of them is the supervisor's. All functions may take a
moment (they touch the disk) and all speak of problems in words.
"""

import shutil
import time
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from desktop_app import paths, process
from desktop_app.domain.estimate import Estimate
from desktop_app.domain.job import KINDS_THAT_GO_ON, Job, JobMarks, make_job_id, tidy_tags
from desktop_app.domain.spec import JobSpec
from desktop_app.durable_file import move_into_place
from desktop_app.errors import AppError, JobError, StorageError
from desktop_app.job_folder import JobFolder, Request, create_job_folder
from desktop_app.os_lock import OsLock
from desktop_app.result_folder import part_folder
from desktop_app.storage.index import Index

from .expectation import expectation
from .findings import record_of
from .less_memory import shrink
from .model_specs import refuse_offline, with_own_folder
from .recovery import TRASH_PREFIX
from .spec_paths import check_paths, with_absolute_paths


def submit(spec: JobSpec, estimate: Estimate | None = None) -> str:
    """Hand in a job and make sure that it will be worked on; return its id.

    `estimate` is what was expected of it, to be set beside what it takes; where nobody said, it is made here.
    Relative paths in the spec are taken from the current folder.

    Raises:
        SpecError: a path in the spec cannot be what it should be.
        ModelError: the model's folder is damaged, incomplete, unsafe or of a kind that cannot be loaded here.
        DataError: the data file is empty, binary or of no known kind.
        StorageError: job folder or index cannot be written.
        JobError: no supervisor could be started; the job stays queued.
    """
    spec = with_own_folder(with_absolute_paths(spec))
    check_paths(spec)
    Index(paths.index_file())  # refuses a newer or unwritable one, for which no supervisor would work
    estimate = estimate or expectation(spec)
    folder = create_job_folder(paths.jobs_dir(), make_job_id(spec, datetime.now()), spec, estimate)
    ensure_supervisor()
    return folder.id


def ensure_supervisor() -> None:
    """Start a supervisor; it leaves by itself if another one does the work or nothing is to be done.

    Raises:
        JobError: if it cannot be started.
    """
    try:
        process.start_detached(process.own_command("--supervise"), paths.logs_dir() / "supervisor.log")
    except OSError as error:
        raise JobError(
            f"The process that runs jobs cannot be started: {error}.",
            "The job is kept; it is worked on when Whetstone is started the next time.",
        ) from error


def is_supervised() -> bool:
    """Whether a supervisor holds the lock now; cheap, for those who wait for a job."""
    with OsLock(paths.supervisor_lock()) as lock:
        return not lock.acquire()


def pause(job_id: str) -> None:
    """Let a job hold still; one that waits is held back.

    Raises:
        JobError: there is no such job, or it has ended.
    """
    _unfinished(job_id, "paused").ask(Request.PAUSE)
    ensure_supervisor()


def resume(job_id: str) -> None:
    """Let a paused job go on, also against a rule that holds it still now.

    Raises:
        JobError: there is no such job, or it has ended.
    """
    folder = _unfinished(job_id, "resumed")
    folder.ask(Request.GO_ON)
    folder.take_back(Request.PAUSE)
    ensure_supervisor()


def stop(job_id: str) -> None:
    """Let a job save what it has and end; one that waits is cancelled.

    Raises:
        JobError: there is no such job, or it has ended.
    """
    _unfinished(job_id, "stopped").ask(Request.STOP)
    ensure_supervisor()


def cancel(job_id: str) -> None:
    """End a job without keeping a result.

    Raises:
        JobError: there is no such job, or it has ended.
    """
    _unfinished(job_id, "cancelled").ask(Request.CANCEL)
    ensure_supervisor()


def run_on(job_id: str) -> None:
    """Continue a job that ended without a result, or that was told to stop and save, in the same folder.

    A fine-tuning goes on from its newest checkpoint, a quantization that was cut off or cancelled after its last
    whole file. What a stopped one saved moves aside, to `result-before-…`.

    Raises:
        JobError: there is no such job, it has not ended, has a result, or keeps nothing to go on from.
        SpecError: its spec cannot be read.
    """
    folder = folder_of(job_id)
    outcome = folder.read_outcome()
    if not folder.has_outcome:
        raise JobError(f"Job {job_id} has not ended.", "Only a job that ended can go on; a paused one is resumed.")
    is_stopped = record_of(folder).is_stopped
    if outcome is not None and outcome.state.value == "succeeded" and not is_stopped:
        raise JobError(f"Job {job_id} has its result.", "Run it again with the same settings instead.")
    spec = folder.read_spec()
    if spec.kind not in ("finetune", "quantize", *KINDS_THAT_GO_ON):
        raise JobError(
            f"Job {job_id} keeps nothing that it could go on from.", "Run it again with the same settings instead."
        )
    refuse_offline(spec)
    try:
        _keep_earlier_result(folder.path / "result")
        if is_stopped and getattr(spec, "output", None):
            _keep_earlier_result(Path(str(getattr(spec, "output", ""))))
        for request in Request:
            folder.take_back(request)
        if (marks := folder.read_marks()).is_archived:  # what is at work is not out of sight
            set_marks(job_id, marks.model_copy(update={"is_archived": False}))
        folder.forget_process()
        folder.forget_outcome()  # last: this is what queues it
    except OSError as error:
        raise StorageError(
            f"Job {job_id} cannot go on: {error}.", "Make its folder writable: " + str(folder.path)
        ) from error
    ensure_supervisor()


def run_on_smaller(job_id: str) -> str:
    """Continue a fine-tuning that ran out of memory with the next smaller plan; return what changes, in words.

    Raises:
        JobError: it cannot become smaller, or as `run_on`.
    """
    folder = folder_of(job_id)
    if not folder.has_outcome:
        raise JobError(f"Job {job_id} has not ended.", "Only a job that ended can go on with another plan.")
    plan = shrink(folder)
    run_on(job_id)
    return plan.notes[-1]


def save_now(job_id: str) -> None:
    """Let a running fine-tuning save a checkpoint after its current step.

    Raises:
        JobError: there is no such job, or it has ended.
    """
    _unfinished(job_id, "saved").ask(Request.SAVE)


def measure_now(job_id: str) -> None:
    """Let a running fine-tuning measure itself on the held-out rows, and answer the sample prompts.

    Raises:
        JobError: there is no such job, or it has ended.
    """
    _unfinished(job_id, "measured").ask(Request.MEASURE)


def delete(job_id: str) -> None:
    """Remove a job that ended from the history, with its whole folder. A result elsewhere stays.

    Raises:
        JobError: there is no such job, or it has not ended.
        StorageError: its files cannot be removed.
    """
    if not _is_name(job_id):
        raise _unknown(job_id)
    folder = JobFolder(paths.jobs_dir() / job_id)
    index = Index(paths.index_file())
    if not folder.path.is_dir():
        row = index.job(job_id)
        if row is None:
            raise _unknown(job_id)
        if not row.state.is_terminal:
            raise _not_ended(job_id)
        index.remove(job_id)
        return
    if not folder.has_outcome:
        raise _not_ended(job_id)
    trash = folder.path.with_name(f"{TRASH_PREFIX}{job_id}")
    try:
        move_into_place(folder.path, trash)  # from here on it is deleted, whatever happens; a supervisor finishes it
    except OSError as error:
        raise StorageError(
            f"{folder.path} cannot be removed: {error.strerror}.", "Close programs that use its files, then try again."
        ) from error
    index.remove(job_id)
    _remove_half_done(JobFolder(trash), job_id)
    shutil.rmtree(trash, ignore_errors=True)


def set_note(job_id: str, note: str) -> None:
    """Keep the user's own words about a job, in its folder and in the index.

    Raises:
        JobError: there is no such job.
        StorageError: they cannot be written.
    """
    folder = folder_of(job_id)
    try:
        folder.write_note(note)
    except OSError as error:
        raise StorageError(f"The note cannot be written: {error.strerror}.", "Free some space.") from error
    Index(paths.index_file()).set_note(job_id, note)


def set_marks(job_id: str, marks: JobMarks) -> None:
    """Keep a job's tags, tidied, and whether it is archived, in its folder and in the index.

    Raises:
        JobError: there is no such job.
        StorageError: they cannot be written.
    """
    _write_marks({job_id: marks})


def archive(jobs: Iterable[Job], is_archived: bool = True) -> None:
    """Put jobs out of sight, or bring them back; those that have not ended stay where they are.

    Raises:
        JobError: one of them is not there any more.
        StorageError: it cannot be written.
    """
    ended = [job for job in jobs if job.state.is_terminal]
    _write_marks({job.id: JobMarks(tags=job.tags, is_archived=is_archived) for job in ended})


def _write_marks(marks: dict[str, JobMarks]) -> None:
    tidy = {job_id: each.model_copy(update={"tags": tidy_tags(each.tags)}) for job_id, each in marks.items()}
    try:
        for job_id, each in tidy.items():
            folder_of(job_id).write_marks(each)
    except OSError as error:
        raise StorageError(f"Tags and archive cannot be written: {error.strerror}.", "Free some space.") from error
    Index(paths.index_file()).set_marks(tidy)


def folder_of(job_id: str) -> JobFolder:
    """Return the folder of a job.

    Raises:
        JobError: there is no such job.
    """
    folder = JobFolder(paths.jobs_dir() / job_id)
    if not _is_name(job_id) or not folder.spec_file.is_file():
        raise _unknown(job_id)
    return folder


def _is_name(job_id: str) -> bool:
    """Ids come from HTTP and the command line: one must never lead out of the jobs folder."""
    return bool(job_id) and Path(job_id).name == job_id and not job_id.startswith(".") and "\\" not in job_id


def _unfinished(job_id: str, wanted: str) -> JobFolder:
    folder = folder_of(job_id)
    if folder.has_outcome:
        raise JobError(f"Job {job_id} has ended and cannot be {wanted}.", "Run it again with the same settings.")
    return folder


def _unknown(job_id: str) -> JobError:
    return JobError(f"There is no job {job_id!r}.", "See all of them in the history, or by the command 'jobs'.")


def _not_ended(job_id: str) -> JobError:
    return JobError(f"Job {job_id} has not ended.", "Cancel it first, then delete it.")


def _keep_earlier_result(result: Path) -> None:
    """Move away what a worker wrote that was stopped, or died before it could say so: the continued run writes anew."""
    if result.exists():
        move_into_place(result, result.with_name(f"{result.name}-before-{int(time.time())}"))


def _remove_half_done(folder: JobFolder, job_id: str) -> None:
    """Remove what a job left half done beside the place of its result, to go on from."""
    try:
        spec = folder.read_spec()
    except AppError:
        return
    output = getattr(spec, "output", None)
    if spec.kind in ("quantize", *KINDS_THAT_GO_ON) and output:
        shutil.rmtree(part_folder(Path(output), job_id), ignore_errors=True)
