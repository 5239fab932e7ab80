"""From submit to the end, with real processes and a worker without torch."""

import itertools
import json
import time

import psutil
import pytest

from desktop_app.domain.job import JobState
from desktop_app.domain.spec import parse_spec
from desktop_app.errors import JobError
from desktop_app.hardware.awake import awake_command
from desktop_app.jobs import submit
from desktop_app.result_folder import manifest_problems
from tests.flow.bench import Bench


def test_a_job_succeeds_and_everything_leaves(bench: Bench) -> None:
    job_id = bench.submit("steps=4")
    row = bench.until_ended(job_id)
    assert row.state is JobState.SUCCEEDED, row
    assert (row.done, row.total, row.loss) == (4, 4, 0.75)
    assert row.summary["final_loss"] == 0.5
    assert row.started is not None and row.ended is not None and row.created <= row.started <= row.ended
    assert manifest_problems(bench.folder(job_id).path / "result") == []
    assert "step 4 line 0" in bench.folder(job_id).console_file.read_text()
    bench.until_quiet()
    assert bench.folder(job_id).read_outcome().state is JobState.SUCCEEDED


def test_garbage_on_stdout_and_in_the_events_does_not_matter(bench: Bench) -> None:
    row = bench.until_ended(bench.submit("garbage=1"))
    assert (row.state, row.done) == (JobState.SUCCEEDED, 5)


def test_a_queue_goes_on_to_its_end_past_failures_oldest_first(bench: Bench) -> None:
    behaviours = ["steps=2", "end=fail at=1", "end=segv at=2", "end=exit at=1", "end=bug at=2", "spoil=1", "steps=1"]
    ids = [bench.submit(behaviour) for behaviour in behaviours]
    rows = [bench.until_ended(job_id) for job_id in ids]
    assert [row.state.value for row in rows] == [
        "succeeded", "failed", "interrupted", "interrupted", "interrupted", "failed", "succeeded",
    ]  # fmt: skip
    assert (rows[1].message, rows[1].hint, rows[1].error) == ("Line 7 holds no text.", "Mend line 7.", "data")
    assert "SIGSEGV" in rows[2].message
    assert "exit code 3" in rows[3].message
    assert "RuntimeError: the fake went wrong" in rows[4].message
    assert "weights.bin has 7 bytes, not 4096" in rows[5].message and rows[5].result == ""
    for before, after in itertools.pairwise(rows):
        assert before.ended <= after.started, "two ran at once"


@pytest.mark.parametrize("behaviour", ["steps=1000", "steps=1000 children=3"])
def test_cancel(bench: Bench, behaviour: str) -> None:
    job_id = bench.submit(behaviour)
    bench.until_step(job_id, 2)
    submit.cancel(job_id)
    assert bench.until_ended(job_id).state is JobState.CANCELLED
    assert not (bench.folder(job_id).path / "result").exists()
    bench.until_quiet()


def test_cancel_of_a_worker_that_does_not_listen_ends_its_whole_tree(bench: Bench) -> None:
    job_id = bench.submit("steps=10000 ignore=1 children=4")
    bench.until_step(job_id, 2)
    asked = time.monotonic()
    submit.cancel(job_id)
    row = bench.until_ended(job_id)
    assert row.state is JobState.CANCELLED and "force" in row.message
    assert time.monotonic() - asked >= 10, "it was not given its time"
    bench.until_quiet()


def test_cancel_of_a_job_that_waits_never_starts_it(bench: Bench) -> None:
    running, waiting = bench.submit("steps=1000"), bench.submit()
    bench.until_state(waiting, JobState.QUEUED)
    submit.cancel(waiting)
    assert bench.until_ended(waiting).state is JobState.CANCELLED
    assert not bench.folder(waiting).events_file.exists()
    assert bench.state(running) in (JobState.QUEUED, JobState.RUNNING)


def test_stop_saves_and_succeeds(bench: Bench) -> None:
    job_id = bench.submit("steps=1000 save_s=0.5")
    bench.until_step(job_id, 3)
    submit.stop(job_id)
    row = bench.until_ended(job_id)
    assert row.state is JobState.SUCCEEDED and 0 < row.done < 1000
    assert manifest_problems(bench.folder(job_id).path / "result") == []


def test_pause_holds_still_and_resume_goes_on(bench: Bench) -> None:
    job_id = bench.submit("steps=12 step_s=0.1")
    bench.until_step(job_id, 2)
    submit.pause(job_id)
    held = bench.until_state(job_id, JobState.PAUSED)
    time.sleep(0.5)
    assert bench.row(job_id).done == held.done
    submit.resume(job_id)
    assert bench.until_ended(job_id).state is JobState.SUCCEEDED


def test_fetching_a_model_does_not_wait_for_a_job_that_computes_but_for_its_like(bench: Bench) -> None:
    def fetch(behaviour: str) -> str:
        output = str(bench.data_dir / "models" / behaviour.replace(" ", "-"))
        spec = {"kind": "bring_in", "model": str(bench.model), "name": behaviour, "output": output}
        return submit.submit(parse_spec(spec))

    first = bench.submit("steps=1000")
    bench.until_step(first, 1)
    fetching, later = fetch("steps=1000 x=1"), fetch("steps=2")
    waiting = bench.submit("steps=2")
    bench.until_step(fetching, 1)
    assert [bench.state(job) for job in (first, later, waiting)] == ["running", "queued", "queued"]
    submit.cancel(fetching)
    assert bench.until_ended(later).state is JobState.SUCCEEDED
    assert bench.state(waiting) is JobState.QUEUED
    submit.cancel(first)
    assert bench.until_ended(waiting).state is JobState.SUCCEEDED


def test_a_job_held_back_lets_others_pass_and_the_supervisor_go(bench: Bench) -> None:
    first = bench.submit("steps=20 step_s=0.1")
    held = bench.submit("steps=1")
    submit.pause(held)
    last = bench.submit("steps=1")
    bench.until_state(held, JobState.PAUSED)
    assert bench.until_ended(last).state is JobState.SUCCEEDED
    assert bench.state(first) is JobState.SUCCEEDED
    bench.until_quiet()
    assert bench.state(held) is JobState.PAUSED
    submit.resume(held)
    assert bench.until_ended(held).state is JobState.SUCCEEDED


def test_a_worker_that_lingers_after_its_last_event_has_succeeded(bench: Bench) -> None:
    assert bench.until_ended(bench.submit("steps=1 linger_s=1")).state is JobState.SUCCEEDED


def test_run_on_continues_from_the_newest_checkpoint(bench: Bench) -> None:
    job_id = bench.submit("steps=8 checkpoint=2 end=kill at=6")
    assert bench.until_ended(job_id).state is JobState.INTERRUPTED
    spec = bench.folder(job_id).spec_file
    spec.write_text(spec.read_text().replace("end=kill at=6", ""))  # what killed it is gone
    with bench.folder(job_id).events_file.open("ab") as events:
        events.write(b'{"v": 1, "seq": 99, "kind": "torn')
    submit.run_on(job_id)
    bench.until(lambda: bench.state(job_id) is JobState.SUCCEEDED, "it succeeds")
    events = [
        json.loads(line)
        for line in bench.folder(job_id).events_file.read_bytes().split(b"\n")
        if b'"v"' in line and b"torn" not in line
    ]
    steps = [event["done"] for event in events if event["kind"] == "progress"]
    assert steps == [1, 2, 3, 4, 5, 5, 6, 7, 8]
    assert sorted(event["seq"] for event in events) == [event["seq"] for event in events]


def test_what_was_stopped_and_saved_goes_on_and_its_first_result_moves_aside(bench: Bench) -> None:
    job_id = bench.submit("steps=4000 checkpoint=2")
    bench.until(lambda: bool((row := bench.row(job_id)) and row.done >= 2), "it is at work")
    submit.stop(job_id)
    assert bench.until_ended(job_id).state is JobState.SUCCEEDED
    folder = bench.folder(job_id)
    saved = (folder.path / "result" / "manifest.json").read_bytes()
    spec = folder.spec_file
    spec.write_text(spec.read_text().replace("steps=4000", f"steps={int(bench.row(job_id).done) + 2}"))  # type: ignore[union-attr]
    submit.run_on(job_id)
    bench.until(lambda: len(list(folder.path.glob("result*"))) == 2 and folder.has_outcome, "it has gone on")
    assert bench.until_ended(job_id).state is JobState.SUCCEEDED
    (aside,) = folder.path.glob("result-before-*")
    assert (aside / "manifest.json").read_bytes() == saved
    with pytest.raises(JobError, match="has its result"):
        submit.run_on(job_id)


def test_the_last_word_of_an_earlier_attempt_does_not_count(bench: Bench) -> None:
    job_id = bench.submit("steps=3 end=fail at=2")
    assert bench.until_ended(job_id).state is JobState.FAILED
    spec = bench.folder(job_id).spec_file
    spec.write_text(spec.read_text().replace("end=fail at=2", "mute=1 end=exit at=1"))
    submit.run_on(job_id)
    bench.until(lambda: bench.state(job_id) is JobState.INTERRUPTED, "it is interrupted, not failed again")


def test_what_cannot_be_asked_is_refused_in_words(bench: Bench) -> None:
    job_id = bench.submit("steps=1")
    with pytest.raises(JobError, match="has not ended"):
        submit.delete(job_id)
    with pytest.raises(JobError, match="has not ended"):
        submit.run_on(job_id)
    bench.until_ended(job_id)
    for action in (submit.pause, submit.resume, submit.stop, submit.cancel):
        with pytest.raises(JobError, match="has ended"):
            action(job_id)
    with pytest.raises(JobError, match="has its result"):
        submit.run_on(job_id)
    for name in ("../jobs", "", "none", ".trash-x", "a\\b"):
        for action in (submit.cancel, submit.delete):
            with pytest.raises(JobError, match="There is no job"):
                action(name)


def test_delete_removes_row_and_folder(bench: Bench) -> None:
    job_id = bench.submit("steps=1")
    bench.until_ended(job_id)
    submit.delete(job_id)
    assert bench.row(job_id) is None and not bench.folder(job_id).path.exists()


def test_zombies_do_not_gather(bench: Bench) -> None:
    job_id = bench.submit("steps=100")
    holder = None
    for _ in range(3):
        submit.ensure_supervisor()
        time.sleep(0.2)
    bench.until_step(job_id, 1)
    holder = bench.supervisor()
    children = [child.pid for child in holder.children() if child.name() != awake_command()[0]]
    assert children == [bench.worker(job_id).pid]
    bench.until(
        lambda: (
            sum(one.status() == psutil.STATUS_ZOMBIE for one in psutil.Process().children()) <= 3
            and len(bench.processes()) == 2
        ),
        "only holder and worker run",
    )
    submit.cancel(job_id)
    bench.until_ended(job_id)
