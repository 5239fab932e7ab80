"""What a supervisor writes into the index when a job ends."""

import time
from pathlib import Path

from desktop_app.domain.job import JobState
from desktop_app.domain.spec import parse_spec
from desktop_app.job_folder import JobFolder, Outcome, create_job_folder
from desktop_app.jobs.ledger import Ledger
from desktop_app.jobs.row import queued_row
from desktop_app.storage.index import Index


def test_a_job_that_came_in_a_bundle_has_its_row_at_once(tmp_path: Path, folder: JobFolder) -> None:
    jobs = folder.path.parent
    index = Index(tmp_path / "index.db")
    ledger = Ledger(index, jobs)
    ledger.keep_up()
    opening = create_job_folder(jobs, "20260102-000000-b-0000", parse_spec({"kind": "open_bundle", "bundle": "/b.zip"}))
    ended = Outcome(state=JobState.INTERRUPTED, ended=time.time())
    brought = create_job_folder(jobs, "20251231-000000-there-0000", folder.read_spec())
    brought.write_outcome(ended)
    ledger.settle(opening, queued_row(opening), Outcome(state=JobState.SUCCEEDED, ended=time.time()))
    row = index.job(brought.id)  # the queue is empty: nobody would look again
    assert row is not None and row.state is JobState.INTERRUPTED
