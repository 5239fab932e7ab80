"""What a training that ended means: the rules of the domain, over what stands in the job's folder."""

from desktop_app import paths
from desktop_app.domain.finetune_spec import FinetuneSpec
from desktop_app.domain.job import Job, JobState
from desktop_app.domain.run_findings import RunFinding, run_findings
from desktop_app.domain.run_record import RunRecord
from desktop_app.errors import AppError
from desktop_app.job_folder import JobFolder

_ENDED_BY_ITSELF = (JobState.SUCCEEDED, JobState.FAILED)


def findings_of(job: Job, record: RunRecord | None = None) -> list[RunFinding]:
    """Return what a job's figures say, nothing of one that did not end by itself; reads the disk.

    `record` holds its events if they were read already.
    """
    if job.kind != "finetune" or job.state not in _ENDED_BY_ITSELF or job.spec.get("checkpoint"):
        return []
    folder = JobFolder(paths.jobs_dir() / job.id)
    try:
        spec = folder.read_spec()
    except AppError:  # gone, or written by another version
        return []
    assert isinstance(spec, FinetuneSpec)
    record = record or record_of(folder)
    kept = [point.step for point in record.checkpoints if (folder.path / point.path).is_dir()]
    return run_findings(spec, record, job.summary, kept, job.message)


def record_of(folder: JobFolder) -> RunRecord:
    """Add up a job's events, of all its attempts."""
    record, offset = RunRecord(), -1
    page = folder.read_events()
    while page.offset != offset:
        record.add(page.events)
        offset = page.offset
        page = folder.read_events(offset)
    return record
