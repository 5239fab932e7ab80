"""Whatever is killed at whatever moment: nothing is lost, nothing claims to have succeeded that did not."""

import os
import threading
import time

import psutil
import pytest

from desktop_app import process
from desktop_app.domain.job import JobState
from desktop_app.domain.spec import parse_spec
from desktop_app.job_folder import JobFolder, ProcessIdentity, create_job_folder
from desktop_app.jobs import submit
from desktop_app.jobs.attempt import Graces
from desktop_app.jobs.supervisor import Supervisor
from desktop_app.os_lock import OsLock
from desktop_app.paths import index_file, jobs_dir, supervisor_lock
from desktop_app.storage.index import Index
from tests.flow.bench import Bench


def test_a_killed_worker_leaves_an_interrupted_job_with_its_last_words(bench: Bench) -> None:
    job_id = bench.submit("steps=10000 children=2")
    bench.until_step(job_id, 2)
    bench.worker(job_id).kill()
    row = bench.until_ended(job_id)
    assert row.state is JobState.INTERRUPTED
    assert "signal 9" in row.message and "line 0" in row.message
    bench.until_quiet()


def test_a_killed_supervisor_is_followed_by_one_that_adopts_the_worker(bench: Bench) -> None:
    job_id = bench.submit("steps=80")
    waiting = bench.submit("steps=1")
    bench.until_step(job_id, 2)
    worker = bench.worker(job_id)
    bench.kill_supervisor()
    assert worker.is_running()
    submit.ensure_supervisor()
    row = bench.until_ended(job_id)
    assert (row.state, row.done, row.summary["pid"]) == (JobState.SUCCEEDED, 80, worker.pid)
    steps = [event.done for event in bench.folder(job_id).read_events().events if event.kind == "progress"]
    assert steps == list(range(1, 81)), "it was not started twice"
    assert bench.until_ended(waiting).state is JobState.SUCCEEDED


def test_a_worker_that_ends_while_nobody_watches_has_succeeded(bench: Bench) -> None:
    job_id = bench.submit("steps=20")
    worker = bench.worker(job_id)
    bench.kill_supervisor()
    bench.until(lambda: not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE, "the worker ends")
    assert bench.state(job_id) is JobState.RUNNING, "nobody could tell"
    submit.ensure_supervisor()
    assert bench.until_ended(job_id).state is JobState.SUCCEEDED


def test_both_killed_is_an_interruption_and_the_queue_goes_on(bench: Bench) -> None:
    job_id = bench.submit("steps=10000 children=2")
    waiting = bench.submit("steps=1")
    bench.until_step(job_id, 1)
    bench.kill_supervisor()
    bench.worker(job_id).kill()
    submit.ensure_supervisor()
    row = bench.until_ended(job_id)
    assert row.state is JobState.INTERRUPTED and "without a last word" in row.message
    assert bench.until_ended(waiting).state is JobState.SUCCEEDED
    bench.until_quiet()


def test_a_worker_whose_start_was_never_noted_is_found_by_its_nonce(bench: Bench) -> None:
    job_id = bench.submit("steps=40")
    pid = bench.worker(job_id).pid
    bench.kill_supervisor()
    folder = bench.folder(job_id)
    folder.write_process(folder.read_process().model_copy(update={"pid": 0, "started": 0.0}))
    submit.ensure_supervisor()
    row = bench.until_ended(job_id)
    assert (row.state, row.summary["pid"]) == (JobState.SUCCEEDED, pid)


def test_a_start_that_never_happened_is_made_up_for(bench: Bench) -> None:
    folder = create_job_folder(jobs_dir(), "20260101-000000-x-0000", parse_spec(bench.spec("steps=2")))
    folder.write_process(ProcessIdentity(pid=0, started=0, boot=process.boot_id(), nonce="f" * 32))
    submit.ensure_supervisor()
    assert bench.until_ended(folder.id).state is JobState.SUCCEEDED


def test_a_stranger_with_the_workers_pid_is_left_alone(bench: Bench) -> None:
    folder = create_job_folder(jobs_dir(), "20260101-000000-x-0000", parse_spec(bench.spec()))
    me = psutil.Process().pid
    folder.write_process(process.identity_of(me, "f" * 32).model_copy(update={"started": 1.0}))
    submit.ensure_supervisor()
    assert bench.until_ended(folder.id).state is JobState.INTERRUPTED


def test_a_restart_of_the_computer_is_told(bench: Bench) -> None:
    folder = create_job_folder(jobs_dir(), "20260101-000000-x-0000", parse_spec(bench.spec()))
    folder.write_process(process.identity_of(psutil.Process().pid, "f" * 32).model_copy(update={"boot": "another"}))
    submit.ensure_supervisor()
    assert "restarted" in bench.until_ended(folder.id).message


def test_of_many_supervisors_one_wins_and_the_others_leave(bench: Bench) -> None:
    job_id = bench.submit("steps=1000")
    bench.until_step(job_id, 1)
    for _ in range(8):
        submit.ensure_supervisor()
    bench.until(lambda: len(bench.processes()) == 2, "only one supervisor and the worker stay")
    assert len([event for event in bench.folder(job_id).read_events().events if event.kind == "started"]) == 1
    submit.cancel(job_id)
    bench.until_ended(job_id)


def test_a_starter_waits_for_a_holder_that_does_not_take_up_the_job(bench: Bench) -> None:
    """The holder may be about to leave: only when it has the new job, or is gone, may the starter leave."""
    with OsLock(supervisor_lock()) as lock:
        assert lock.acquire()
        job_id = bench.submit("steps=1")
        time.sleep(1.5)
        assert len(bench.processes()) == 1, "it stays"
        assert bench.state(job_id) is None
    assert bench.until_ended(job_id).state is JobState.SUCCEEDED


def test_a_job_that_comes_while_the_supervisor_leaves_is_taken_up_by_it(bench: Bench) -> None:
    made: list[JobFolder] = []

    class LockThatIsSlowToFree(OsLock):
        def release(self) -> None:
            if not made:  # the supervisor has looked for the last time and found nothing
                made.append(create_job_folder(jobs_dir(), "late", parse_spec(bench.spec("steps=1"))))
            super().release()

    with LockThatIsSlowToFree(supervisor_lock()) as lock:
        assert lock.acquire()
        Supervisor(lock, Index(index_file()), jobs_dir()).run()
    assert bench.state("late") is JobState.SUCCEEDED


def test_jobs_that_come_at_any_moment_are_all_done(bench: Bench) -> None:
    ids = []
    for number in range(12):
        ids.append(bench.submit("steps=1 step_s=0"))
        time.sleep(0.13 * number)  # from much faster to much slower than a supervisor's life
    for job_id in ids:
        assert bench.until_ended(job_id).state is JobState.SUCCEEDED


def test_stop_that_is_not_obeyed_in_time_is_an_interruption(bench: Bench) -> None:
    job_id = "20260101-000000-x-0000"
    create_job_folder(jobs_dir(), job_id, parse_spec(bench.spec("steps=10000 ignore=1")))
    with OsLock(supervisor_lock()) as lock:
        assert lock.acquire()
        supervisor = Supervisor(lock, Index(index_file()), jobs_dir(), Graces(stop_s=0.5))
        thread = threading.Thread(target=supervisor.run)
        thread.start()
        bench.until_step(job_id, 2)
        submit.stop(job_id)
        thread.join(30)
        assert not thread.is_alive()
    row = bench.row(job_id)
    assert row.state is JobState.INTERRUPTED and "stop and save" in row.message


def test_a_lost_index_is_rebuilt_with_every_job_and_note(bench: Bench) -> None:
    ids = [bench.submit(behaviour) for behaviour in ("steps=3", "end=fail at=2", "end=kill at=2")]
    for job_id in ids:
        bench.until_ended(job_id)
    submit.set_note(ids[0], "the good one ü")
    bench.until_quiet()
    before = Index(index_file()).jobs()
    index_file().write_bytes(b"no database at all" * 300)
    submit.ensure_supervisor()
    bench.until(lambda: len(Index(index_file()).jobs()) == 3, "all rows are back")
    bench.until_quiet()
    assert Index(index_file()).jobs() == before
    assert len(list(index_file().parent.glob("history.sqlite3.damaged-*"))) == 1


def test_an_index_damaged_while_a_job_runs_is_rebuilt(bench: Bench) -> None:
    done = bench.submit("steps=1")
    bench.until_ended(done)
    running = bench.submit("steps=60")
    bench.until_step(running, 2)
    index_file().write_bytes(b"no database at all" * 300)
    assert bench.until_ended(running).state is JobState.SUCCEEDED
    bench.until(lambda: bench.state(done) is JobState.SUCCEEDED, "the finished one is back")


@pytest.mark.parametrize("spec", ["", "{", '{"kind": "finetune", "modle": 1}', '{"kind": "other"}', "[1]"])
def test_a_broken_spec_fails_in_words_and_the_queue_goes_on(bench: Bench, spec: str) -> None:
    folder = create_job_folder(jobs_dir(), "20260101-000000-x-0000", parse_spec(bench.spec()))
    folder.spec_file.write_text(spec)
    job_id = bench.submit("steps=1")
    row = bench.until_ended(folder.id)
    assert row.state is JobState.FAILED and row.error == "spec" and row.message
    assert bench.until_ended(job_id).state is JobState.SUCCEEDED


def test_a_folder_deleted_under_its_job_ends_the_worker(bench: Bench) -> None:
    job_id = bench.submit("steps=10000")
    bench.until_step(job_id, 1)
    folder = bench.folder(job_id).path
    folder.rename(folder.with_name(".gone"))
    row = bench.until_ended(job_id)
    assert row.state is JobState.INTERRUPTED and "is gone" in row.message
    bench.until_quiet()


def test_litter_is_cleared_and_a_cut_short_deletion_finished(bench: Bench) -> None:
    job_id = bench.submit("steps=1")
    bench.until_ended(job_id)
    bench.until_quiet()
    old, young = jobs_dir() / ".new-old", jobs_dir() / ".new-young"
    old.mkdir()
    young.mkdir()
    os.utime(old, (1, 1))
    bench.folder(job_id).path.rename(jobs_dir() / f".trash-{job_id}")
    submit.ensure_supervisor()
    bench.until(lambda: bench.row(job_id) is None, "the row is gone")
    bench.until_quiet()
    assert not old.exists() and young.exists()
    assert not (jobs_dir() / f".trash-{job_id}").exists()
