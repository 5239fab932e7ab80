"""What events add up to, also when a run goes on from a checkpoint."""

from desktop_app.domain.event import Checkpoint, Failed, Metric, Notice, Paused, Progress, Resumed, Stage, Started
from desktop_app.domain.run_record import RunRecord


def metric(step: int, **values: float) -> Metric:
    return Metric(seq=step, time=0.0, step=step, values=values)


def test_figures_curves_and_notices() -> None:
    record = RunRecord()
    record.add(
        [
            Started(seq=0, time=1.0, pid=7),
            Stage(seq=1, time=1.0, text="Loading the model"),
            Progress(seq=2, time=2.0, done=1, total=9),
            metric(1, loss=2.0, learning_rate=1e-4),
            metric(2, loss=1.5, eval_loss=1.7),
            Notice(seq=3, time=2.0, text="Three layers stay in 16 bits."),
        ]
    )
    assert record.metrics["loss"] == [(1, 2.0), (2, 1.5)]
    assert record.latest("eval_loss") == 1.7
    assert record.latest("grad_norm") is None
    assert record.stage == "Loading the model"
    assert record.progress is not None
    assert record.progress.total == 9
    assert [notice.text for notice in record.notices] == ["Three layers stay in 16 bits."]


def test_a_resumed_run_replaces_the_steps_it_repeats() -> None:
    record = RunRecord()
    record.add([metric(step, loss=float(step)) for step in range(1, 9)])
    record.add([Checkpoint(seq=20, time=0, step=5, path="checkpoints/5")])
    record.add([Failed(seq=21, time=0, error="bug", message="out of luck")])
    assert record.end is not None
    record.add([Started(seq=22, time=0, pid=8), metric(6, loss=60.0)])
    assert record.end is None
    assert record.metrics["loss"] == [(1, 1.0), (2, 2.0), (3, 3.0), (4, 4.0), (5, 5.0), (6, 60.0)]
    assert [checkpoint.step for checkpoint in record.checkpoints] == [5]


def test_pause_and_going_on() -> None:
    record = RunRecord()
    record.add([Paused(seq=0, time=0, step=3)])
    assert record.is_paused
    record.add([Resumed(seq=1, time=0, step=3)])
    assert not record.is_paused
