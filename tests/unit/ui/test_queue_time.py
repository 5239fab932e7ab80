"""When a job that is handed in now starts, by what was expected of those before it."""

from dataclasses import replace

from desktop_app.domain.job import JobState
from desktop_app.ui.queue_time import waiting_s
from tests.unit.ui.test_job_rows import PLAIN

_RUNNING = replace(PLAIN, kind="finetune", state=JobState.RUNNING, eta_s=60.0)
_QUEUED = replace(_RUNNING, state=JobState.QUEUED, eta_s=200.0)


def test_what_waits_is_added_to_what_runs() -> None:
    assert waiting_s(_RUNNING, [_QUEUED, replace(_QUEUED, eta_s=None)]) == (260, 1)
    assert waiting_s(replace(_RUNNING, eta_s=None), []) == (0, 1)
    assert waiting_s(None, []) == (0, 0)


def test_nobody_waits_for_what_is_fetched_beside() -> None:
    fetched = replace(_RUNNING, kind="download")
    assert waiting_s(fetched, [fetched, _QUEUED]) == (200, 0)
