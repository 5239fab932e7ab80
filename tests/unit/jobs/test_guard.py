"""The rules alone: when each begins to hold, when it lets go, and what it says."""

from datetime import datetime

import pytest

from desktop_app.domain.machine import Battery, Gpu, GpuProcess, MachineSample
from desktop_app.jobs.guard import Guard, Reading, Rules, reading_of, rules_of
from desktop_app.settings import Settings

NOON = datetime(2026, 3, 2, 12, 0)
GIB = 2**30


def looks(rules: Rules, *readings: tuple[float, Reading], local: datetime = NOON) -> list[list[str]]:
    guard = Guard()
    return [[hold.cause for hold in guard.look(rules, reading, at, local)] for at, reading in readings]


def test_without_rules_nothing_ever_holds() -> None:
    worst = Reading(charge=1, is_plugged=False, temperature=120, other_bytes=99 * GIB)
    assert looks(Rules(), (0, worst), (1000, worst)) == [[], []]


def test_heat_counts_after_a_minute_and_ends_ten_degrees_lower_for_a_minute() -> None:
    steps = [(0, 90), (50, 90), (55, 70), (56, 90), (115, 90), (116, 90), (200, 76), (300, 74), (359, 74), (361, 74)]
    told = looks(Rules(above_temperature=85), *((at, Reading(temperature=heat)) for at, heat in steps))
    assert [bool(found) for found in told] == [False] * 5 + [True] * 4 + [False]


def test_a_sensor_that_falls_silent_changes_nothing() -> None:
    rules = Rules(above_temperature=85)
    hot, silent = Reading(temperature=95), Reading()
    assert looks(rules, (0, hot), (60, hot), (100, silent), (999, silent))[-1] == ["heat"]
    assert looks(rules, (0, silent), (999, silent)) == [[], []]


def test_a_low_battery_holds_until_five_percent_more_plugged_in_or_not() -> None:
    rules = Rules(below_charge=20)
    charges = [(0, 21), (10, 19), (16, 19), (30, 20), (60, 24), (90, 25), (96, 25)]
    told = looks(rules, *((at, Reading(charge=charge, is_plugged=at > 20)) for at, charge in charges))
    assert [bool(found) for found in told] == [False, False, True, True, True, True, False]


def test_a_loose_plug_for_two_seconds_holds_nothing() -> None:
    rules = Rules(on_battery=True)
    steps = [(0, True), (2, False), (4, True), (6, False), (8, False), (12, False)]
    told = looks(rules, *((at, Reading(is_plugged=plug)) for at, plug in steps))
    assert [bool(found) for found in told] == [False] * 5 + [True]


@pytest.mark.parametrize(
    ("start", "end", "hour", "is_quiet"),
    [(22, 7, 23, True), (22, 7, 3, True), (22, 7, 7, False), (22, 7, 12, False), (9, 17, 9, True), (9, 17, 17, False)],
)
def test_quiet_hours_also_over_midnight(start: int, end: int, hour: int, is_quiet: bool) -> None:
    rules = Rules(quiet_hours=(start * 60, end * 60))
    assert bool(looks(rules, (0, Reading()), local=NOON.replace(hour=hour))[0]) is is_quiet


def test_each_reason_says_why_and_when_it_goes_on() -> None:
    rules = Rules(
        on_battery=True, below_charge=30, above_temperature=80, for_other_program=True, quiet_hours=(1320, 420)
    )
    reading = Reading(charge=12.4, is_plugged=False, temperature=91, other_bytes=3 * GIB, other_name="blender")
    guard = Guard()
    late = NOON.replace(hour=23)
    guard.look(rules, reading, 0, late)
    assert [hold.text for hold in guard.look(rules, reading, 61, late)] == [
        "Paused: on battery. Goes on when the charger is plugged in.",
        "Paused: battery at 12 %. Goes on when it is charged to 35 %.",
        "Paused: too hot, 91 °C. Goes on when it has been at most 70 °C for a minute.",
        "Paused: blender uses the GPU (3.0 GB). Goes on half a minute after it has given its memory back.",
        "Paused: quiet hours. Goes on at 07:00 tomorrow (Tue).",
    ]


def test_a_reading_takes_the_hottest_gpu_and_leaves_own_processes_out() -> None:
    processes = (GpuProcess(pid=7, name="own", memory=9 * GIB), GpuProcess(pid=8, name="game", memory=2 * GIB))
    gpus = (
        Gpu(index=0, name="a", memory_total=1, memory_used=1, temperature=70, processes=processes),
        Gpu(index=1, name="b", memory_total=1, memory_used=1, temperature=82, processes=processes[1:]),
    )
    sample = MachineSample(
        time=0, cpu=0, memory_total=1, memory_used=1, gpus=gpus, cpu_temperature=99,
        battery=Battery(charge=50, is_plugged=True),
    )  # fmt: skip
    assert reading_of(sample, frozenset({7})) == Reading(
        charge=50, is_plugged=True, temperature=82, other_bytes=2 * GIB, other_name="game"
    )
    without = reading_of(sample.model_copy(update={"gpus": ()}), frozenset())
    assert (without.temperature, without.other_bytes) == (99, None)


def test_the_rules_come_from_the_settings_and_bad_values_mean_none() -> None:
    settings = Settings({"pause_below_charge": "much", "pause_above_temperature": 500, "quiet_hours": [1, 9999]})
    assert rules_of(settings) == Rules()
    settings.pause_below_charge, settings.has_quiet_hours = 20, True
    assert rules_of(settings) == Rules(below_charge=20, quiet_hours=(22 * 60, 7 * 60))
