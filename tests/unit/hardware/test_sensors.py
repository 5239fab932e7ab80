"""The computer is described, and every way in which a GPU can fail is told in words without delaying anyone."""

import os
import sys
import time
from collections import namedtuple

import psutil
import pytest

from desktop_app.domain.machine import Battery
from desktop_app.hardware import cuda_state, nvml, sensors
from desktop_app.hardware.nvml import GpuReading, Nvml
from desktop_app.hardware.sensors import GpuSensor, machine_sample
from tests.fakes import pynvml as fake_pynvml


@pytest.fixture(autouse=True)
def fake_nvml(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", fake_pynvml)
    monkeypatch.setenv("FAKE_NVML", "")


def test_processor_and_memory_are_plausible() -> None:
    sample = machine_sample()
    assert 0 <= sample.cpu <= 100
    assert 0 < sample.memory_used < sample.memory_total
    assert abs(sample.time - time.time()) < 60


def test_a_gpu_that_torch_cannot_use_is_shown_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda_state, "_version", lambda: "2.13.0+cpu")
    monkeypatch.setattr(sensors, "_GPUS", GpuSensor())
    sample = machine_sample()
    assert [gpu.name for gpu in sample.gpus] == ["Fake RTX"]
    assert "came with a torch for processors only" in sample.gpu_problem


def test_a_gpu_is_described_and_a_reading_it_lacks_left_out() -> None:
    (gpu,) = Nvml().read().gpus
    assert (gpu.name, gpu.memory_total, gpu.memory_used, gpu.load) == ("Fake RTX", 8 * 2**30, 2**30, 42)
    assert (gpu.temperature, gpu.power, gpu.driver) == (61, None, "580.65.06")
    assert (gpu.power_limit, gpu.capability, gpu.slowed_by) == (115, "8.9", ())


def test_who_holds_memory_is_named_once_the_largest_first(monkeypatch: pytest.MonkeyPatch) -> None:
    (gpu,) = Nvml().read().gpus
    assert [(one.pid == os.getpid(), one.memory) for one in gpu.processes] == [(True, 3 * 2**30), (False, None)]
    assert "python" in gpu.processes[0].name and gpu.processes[1].name == ""
    monkeypatch.setattr(fake_pynvml, "nvmlDeviceGetComputeRunningProcesses", _refuse)
    assert len(Nvml().read().gpus[0].processes) == 1  # the other question is still answered


def _refuse(handle: int) -> list[object]:
    raise fake_pynvml.NVMLError(3)


def test_what_slows_a_gpu_is_told_but_idleness_is_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_NVML_REASONS", str(0x1 | 0x4 | 0x20))
    assert Nvml().read().gpus[0].slowed_by == ("its power limit", "its temperature")


def test_a_binding_older_than_a_question_leaves_it_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(fake_pynvml, "nvmlDeviceGetCurrentClocksEventReasons")
    assert Nvml().read().gpus[0].slowed_by == ()


def test_a_battery_is_told_and_a_charger_nobody_tells_counts_as_plugged(monkeypatch: pytest.MonkeyPatch) -> None:
    Told = namedtuple("Told", "percent secsleft power_plugged")
    monkeypatch.setattr(psutil, "sensors_battery", lambda: Told(71.4, 5400, False))
    assert sensors.battery() == Battery(charge=71.4, is_plugged=False, left_s=5400)
    monkeypatch.setattr(psutil, "sensors_battery", lambda: Told(71.4, psutil.POWER_TIME_UNKNOWN, None))
    assert sensors.battery() == Battery(charge=71.4, is_plugged=True)
    monkeypatch.setattr(psutil, "sensors_battery", lambda: None)
    assert sensors.battery() is None


CODES = [1, 3, 4, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 20, 23, 28, 999, 77]


def test_each_error_has_its_own_sentence_with_a_next_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nvml, "driver_is_installed", lambda: True)
    problems = []
    for code in CODES:
        monkeypatch.setenv("FAKE_NVML", str(code))
        reading = Nvml().read()
        assert reading.gpus == ()
        assert reading.problem.count(".") >= 2, reading.problem
        problems.append(reading.problem)
    assert len(set(problems)) == len(CODES)
    assert "77" in problems[-1]


def test_no_driver_is_no_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nvml, "driver_is_installed", lambda: False)
    monkeypatch.setenv("FAKE_NVML", "12")
    assert Nvml().read() == GpuReading()


def test_a_gpu_that_disappears_is_told_and_found_again_when_it_returns(monkeypatch: pytest.MonkeyPatch) -> None:
    connection = Nvml()
    assert len(connection.read().gpus) == 1
    monkeypatch.setenv("FAKE_NVML", "none")
    assert "has disappeared; there was one before" in connection.read().problem
    monkeypatch.setenv("FAKE_NVML", "15")
    assert "was lost" in connection.read().problem
    monkeypatch.setenv("FAKE_NVML", "")
    assert len(connection.read().gpus) == 1


def test_a_driver_that_hangs_delays_once_and_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_NVML", "hang")
    sensor = GpuSensor()
    assert "has not answered for 1 s" in sensor.read(1.0).problem
    start = time.monotonic()
    for _ in range(20):
        assert "has not answered" in sensor.read(1.0).problem
    assert time.monotonic() - start < 10  # twenty waits of a second would take 20


def test_a_binding_that_breaks_does_not_hide_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fake_pynvml, "nvmlDeviceGetName", lambda handle: 1 // 0)
    assert "ZeroDivisionError" in GpuSensor().read(5).problem
