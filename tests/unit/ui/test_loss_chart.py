"""Which curves a run has, what stands in the chart for each, and that thinning keeps the ends."""

from desktop_app.domain.event import InUse, Metric
from desktop_app.domain.run_record import RunRecord
from desktop_app.ui.job_figures import in_use_text
from desktop_app.ui.loss_chart import VIEWS, chart_lines, views_of


def record(steps: int = 3, **more: float) -> RunRecord:
    made = RunRecord()
    made.add(
        Metric(seq=step, time=0, step=step, values={"loss": 1 / step, "grad_norm": 2.0 * step, **more})
        for step in range(1, steps + 1)
    )
    return made


def view(name: str) -> object:
    return next(each for each in VIEWS if each.main == name)


def test_a_run_offers_the_curves_it_has() -> None:
    assert views_of(RunRecord()) == {"loss": "Loss"}
    assert list(views_of(record())) == ["loss", "grad_norm"]
    assert list(views_of(record(reward_margin=0.1, reward_chosen=1.0))) == [
        "loss", "grad_norm", "reward_margin", "reward_chosen",
    ]  # fmt: skip


def test_each_curve_brings_its_own_points_and_the_one_beside_it() -> None:
    run = record(reward_chosen=1.0, reward_rejected=-1.0)
    assert chart_lines(run, view("grad_norm"), 0, False)["raw"] == [(1, 2.0), (2, 4.0), (3, 6.0)]  # type: ignore[arg-type]
    lines = chart_lines(run, view("reward_chosen"), 0, False)  # type: ignore[arg-type]
    assert [value for _, value in lines["beside"]] == [-1.0] * 3
    assert chart_lines(run, view("reward_chosen"), 0, True)["beside"] == [], "no logarithm of what is below 0"  # type: ignore[arg-type]


def test_a_long_run_is_thinned_but_keeps_its_ends_and_its_spike() -> None:
    run = record(20_000)
    run.metrics["loss"][7_000] = (7_001, 99.0)
    raw = chart_lines(run, VIEWS[0], 0.5, False)["raw"]
    assert len(raw) <= 600
    assert raw[0] == (1, 1.0) and raw[-1] == (20_000, 1 / 20_000) and (7_001, 99.0) in raw


def test_what_is_really_in_use_is_said_in_one_line() -> None:
    run = RunRecord()
    facts = {"device": "CPU (1 thread)", "quantization": "none", "adapter_dtype": "float32", "attention": "sdpa"}
    more = {"trainable_parameters": 108_544, "world_size": 2, "wrapper": "DistributedDataParallel"}
    run.add([InUse(seq=0, time=0, facts={**facts, **more})])
    assert in_use_text(run.in_use) == (
        "In use: CPU (1 thread) · trains 108,544 weights in float32 · sdpa attention · "
        "2 processes (DistributedDataParallel)"
    )
    assert in_use_text({}) == ""
