"""Run one job in this process, from its folder, and see to it that it ends with a word.

The only edge of a worker: here problems become the last event and the exit code
(0 success, 1 a bug, 2 a problem told in words, 130 cancelled).
"""

import logging
import os
import sys
import traceback
import warnings
from contextlib import suppress
from pathlib import Path

from desktop_app.domain.bring_in_spec import BringInSpec
from desktop_app.domain.bundle_spec import BundleSpec, OpenBundleSpec
from desktop_app.domain.download_spec import DownloadSpec
from desktop_app.domain.evaluate_spec import EvaluateSpec
from desktop_app.domain.event import Cancelled, Failed, Started, Succeeded
from desktop_app.domain.export_spec import ExportSpec
from desktop_app.domain.finetune_spec import FinetuneSpec
from desktop_app.domain.quantize_spec import QuantizeSpec
from desktop_app.domain.spec import JobSpec
from desktop_app.errors import AppError, DiskFull, error_kind
from desktop_app.job_folder import JobFolder

from .as_estimated import as_estimated
from .finished import Finished
from .foreign_errors import foreign_errors_in_words, is_disk_full
from .machine_log import MachineLog
from .provenance import library_versions
from .ranks import Ranks
from .reporter import CancelledByUser, MuteReporter, Reporter
from .triton_kernels import leave_out_triton_where_it_cannot_build

# They warn on every import, of kernels that this computer needs not have and of what they use themselves.
_NOISY = ("bitsandbytes", "torchao", "torch.utils._pytree")


def run_worker(folder: str | Path) -> int:
    """Do the job of a folder and return the exit code of this process."""
    job = JobFolder(Path(folder).absolute())
    if not job.belongs_to(os.environ.get("WHETSTONE_NONCE", "")):
        print("Another worker was started for this job; this one leaves.", file=sys.stderr)  # noqa: T201
        return 3
    try:
        reporter = Reporter(job) if Ranks.of_environment().is_voice else MuteReporter(job)
    except AppError as problem:
        print(problem, file=sys.stderr)  # noqa: T201  (there is no event file to say it in)
        return 2
    leave_out_triton_where_it_cannot_build()
    for name in _NOISY:
        logging.getLogger(name).setLevel(logging.ERROR)
    # transformers warns of what it calls itself and will rename; nobody who trains can do anything about it.
    warnings.filterwarnings("ignore", category=FutureWarning, module="transformers")
    try:
        return _ended(job, reporter)
    finally:
        reporter.close()


def _ended(job: JobFolder, reporter: Reporter) -> int:
    try:
        with foreign_errors_in_words():
            reporter.emit(Started, pid=os.getpid(), versions=library_versions())
            with MachineLog(reporter):
                finished = _work(job.read_spec(), job, reporter)
        reporter.emit(
            Succeeded,
            result="" if finished.result is None else str(finished.result),
            summary=finished.summary | as_estimated(job.read_estimate(), finished.summary, reporter.goes_on),
            checks=finished.checks,
            stopped_early=finished.stopped_early,
        )
    except (CancelledByUser, KeyboardInterrupt):
        reporter.emit(Cancelled)
        return 130
    except AppError as problem:
        _log(problem)
        kind = error_kind(DiskFull("") if is_disk_full(problem) else problem)
        reporter.emit(Failed, error=kind, message=problem.message, hint=problem.hint)
        return 2
    except Exception as error:  # noqa: BLE001  the edge: a bug must end in an event and a traceback, not in silence
        _log(error)
        reporter.emit(
            Failed,
            error="bug",
            message=f"Something went wrong that should not: {type(error).__name__}: {error}"[:500],
            hint="The console log of this job says where; please report it.",
        )
        return 1
    return 0


def _log(error: Exception) -> None:
    """Say in the job's console log what a library said first; where the disk is full only the event has a place."""
    with suppress(OSError):
        if isinstance(error, AppError) and error.__cause__ is None:
            print(error, file=sys.stderr)  # noqa: T201
        else:
            traceback.print_exception(error)


def _work(spec: JobSpec, job: JobFolder, reporter: Reporter) -> Finished:
    """Each kind imports only what it needs: a job starts in seconds, and most of them are imports.

    Written out, not a table of names: the packager takes along what it sees imported.
    """
    if isinstance(spec, FinetuneSpec):
        from .finetune import finetune

        return finetune(spec, job, reporter)
    if isinstance(spec, EvaluateSpec):
        from .evaluate import evaluate

        return evaluate(spec, job, reporter)
    if isinstance(spec, QuantizeSpec):
        from .quantize import quantize

        return quantize(spec, job, reporter)
    if isinstance(spec, BringInSpec):
        from .bring_in import bring_in

        return bring_in(spec, job, reporter)
    if isinstance(spec, DownloadSpec):
        from .download import download

        return download(spec, job, reporter)
    if isinstance(spec, ExportSpec):
        from .export import export

        return export(spec, job, reporter)
    if isinstance(spec, BundleSpec):
        from .bundle import make_bundle

        return make_bundle(spec, job, reporter)
    if isinstance(spec, OpenBundleSpec):
        from .open_bundle import open_bundle

        return open_bundle(spec, job, reporter)
    from .convert import convert

    return convert(spec, job, reporter)
