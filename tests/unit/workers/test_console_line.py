"""The log says what happens, in a line each."""

from desktop_app.domain.event import Checkpoint, Failed, Metric, Progress, Stage
from desktop_app.workers.console_line import console_line


def test_a_step_is_told_with_its_values() -> None:
    line = console_line(Metric(seq=3, time=0.0, step=30, values={"loss": 3.5481, "learning_rate": 0.00026}))
    assert line.endswith("step    30  loss 3.548  lr 0.00026")


def test_stages_checkpoints_and_ends_are_told() -> None:
    assert console_line(Stage(seq=0, time=0.0, text="Loading the model")).endswith("  Loading the model")
    assert console_line(Checkpoint(seq=1, time=0.0, step=5, path="checkpoints/step-5")).endswith("checkpoint saved")
    failed = Failed(seq=2, time=0.0, error="data", message="No rows.", hint="Choose another file.")
    assert console_line(failed).endswith("No rows. Choose another file.")


def test_progress_is_left_to_the_bar() -> None:
    assert console_line(Progress(seq=0, time=0.0, done=1, total=2)) == ""
