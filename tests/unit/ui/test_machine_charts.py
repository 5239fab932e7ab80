"""The charts of the machine: what each shows now, and its past."""

from desktop_app.domain.machine import Battery, Gpu, MachineSample
from desktop_app.ui.machine_charts import traces

GIB = 2**30


def sample(at: float, battery: Battery | None = None, gpus: tuple[Gpu, ...] = ()) -> MachineSample:
    return MachineSample(time=at, cpu=25, memory_total=16 * GIB, memory_used=4 * GIB, battery=battery, gpus=gpus)


def test_the_battery_has_a_row_only_where_there_is_one() -> None:
    assert [trace.name for trace in traces([sample(0)])] == ["CPU", "RAM"]
    falling = [sample(at, Battery(charge=80 - at, is_plugged=False)) for at in range(3)]
    battery = traces(falling)[-1]
    assert (battery.name, battery.now) == ("Battery", "78 %, on battery")
    assert battery.points == [(0, 80), (1, 79), (2, 78)]
    assert traces([*falling, sample(3, Battery(charge=79, is_plugged=True))])[-1].now == "79 %, plugged in"


def test_samples_without_a_battery_leave_a_gap_in_its_past() -> None:
    past = [sample(0, Battery(charge=50, is_plugged=True)), sample(1), sample(2, Battery(charge=51, is_plugged=True))]
    assert traces(past)[-1].points == [(0, 50), (2, 51)]


def test_the_gpu_whose_memory_is_used_most_is_shown() -> None:
    idle = Gpu(index=0, name="idle", memory_total=8 * GIB, memory_used=0)
    busy = Gpu(index=1, name="busy", memory_total=8 * GIB, memory_used=6 * GIB, load=90, temperature=70, power=120)
    gpu, memory, *_ = traces([sample(0, gpus=(idle, busy))])
    assert (gpu.now, gpu.about) == ("90 %", "busy, 70 °C, 120 W")
    assert memory.points == [(0, 75.0)]
