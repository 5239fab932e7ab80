"""Fill the disk under a running job, then free it again; run in a mount namespace of its own, data on a small tmpfs.

python -m tests.flow.full_disk      (WHETSTONE_DATA_DIR on the small disk)
"""

import json
import os
import shutil
import sys
from pathlib import Path

from desktop_app.domain.job import JobState
from desktop_app.errors import StorageError
from desktop_app.jobs import submit
from tests.flow.bench import Bench


def main() -> dict[str, object]:
    root = Path(os.environ["WHETSTONE_DATA_DIR"])
    bench = Bench(root, Path(sys.argv[1]), os.environ.__setitem__)
    before = bench.submit("steps=1")
    bench.until_ended(before)
    job_id = bench.submit("steps=100000 logs=0 step_s=0.01")
    bench.until_step(job_id, 3)
    filler = root / "filler"
    with filler.open("wb", buffering=0) as stream:
        try:
            while True:
                stream.write(bytes(4096))
        except OSError:
            pass
    try:
        submit.submit(submit.folder_of(before).read_spec())
        refusal = ""
    except StorageError as error:
        refusal = str(error)
    bench.worker(job_id).kill()
    bench.until(lambda: "cannot be written" in bench.supervisor_log(), "the supervisor notices")
    state_while_full = bench.folder(job_id).has_outcome
    filler.unlink()
    submit.ensure_supervisor()
    row = bench.until_ended(job_id)
    bench.until(lambda: bench.folder(job_id).has_outcome, "the end is written")
    after = bench.submit("steps=1")
    bench.until_ended(after)
    return {
        **paused_by_a_full_disk(bench, filler),
        "refusal": refusal,
        "had_outcome_while_full": state_while_full,
        "state": row.state,
        "outcome": bench.folder(job_id).read_outcome().state,
        "before": bench.until_ended(before).state,
        "after_succeeded": bench.until_ended(after).state is JobState.SUCCEEDED,
        "processes": bench.until_quiet(),
    }


def paused_by_a_full_disk(bench: Bench, filler: Path) -> dict[str, object]:
    """Fill the disk under a job that saves checkpoints, look what it says, free the disk, see it end."""
    job_id = bench.submit("steps=12 step_s=0.1 checkpoint=2 checkpoint_kb=200 logs=0")
    bench.until(lambda: (bench.folder(job_id).path / "checkpoints" / "step-2" / "weights").exists(), "a checkpoint")
    free = shutil.disk_usage(filler.parent).free
    filler.write_bytes(bytes(max(0, free - 250_000)))
    paused = bench.until_state(job_id, JobState.PAUSED, JobState.FAILED)
    bench.until(lambda: "missing" in (bench.row(job_id) or paused).stage, "it says what is missing")
    said = bench.row(job_id)
    kept = sorted(path.name for path in (bench.folder(job_id).path / "checkpoints").iterdir())
    has_outcome = bench.folder(job_id).has_outcome
    filler.unlink()
    ended = bench.until_ended(job_id)
    starts = [event for event in bench.folder(job_id).read_events().events if event.kind == "started"]
    return {
        "paused": paused.state,
        "said": said.stage if said else "",
        "kept": kept,
        "outcome_while_paused": has_outcome,
        "paused_ended": ended.state,
        "starts": len(starts),
    }


if __name__ == "__main__":
    print(json.dumps(main()))
