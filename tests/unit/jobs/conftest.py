"""A job folder to judge."""

from pathlib import Path

import pytest

from desktop_app.domain.spec import parse_spec
from desktop_app.job_folder import JobFolder, create_job_folder


@pytest.fixture
def folder(tmp_path: Path) -> JobFolder:
    spec = parse_spec({"kind": "finetune", "model": "/models/tiny", "data": "/data.jsonl"})
    return create_job_folder(tmp_path / "jobs", "20260101-000000-tiny-0000", spec)
