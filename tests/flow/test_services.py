"""Real helper processes: they answer, hang, die, are started again, and never outlive their owner."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from desktop_app.errors import ModelError, ServiceError
from desktop_app.process import wait_until
from desktop_app.services.client import Service
from tests.fakes.model_files import write_llama

ROOT = Path(__file__).resolve().parents[2]
posix_only = pytest.mark.skipif(os.name == "nt", reason="stops a process by a signal")


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[[str], Service]]:
    monkeypatch.setenv("WHETSTONE_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "tests" / "fakes"))  # its pynvml comes before the real one
    monkeypatch.setenv("FAKE_NVML", "")
    made: list[Service] = []

    def make(name: str) -> Service:
        made.append(Service(name))
        return made[-1]

    yield make
    for one in made:
        one.close()
    assert wait_until(lambda: not _helpers(), 10)


def _helpers() -> list[psutil.Process]:
    found = []
    for child in psutil.Process().children():
        try:
            if "--service" in child.cmdline() and child.status() != psutil.STATUS_ZOMBIE:
                found.append(child)
        except psutil.Error:
            continue
    return found


def test_a_model_is_described_and_errors_cross_in_words(service: Callable[[str], Service], tmp_path: Path) -> None:
    inspect = service("inspect")
    write_llama(tmp_path / "models" / "lamb")
    facts = inspect.call("model_facts", 60, path=str(tmp_path / "models" / "lamb"))
    assert facts["architecture"] == "LlamaForCausalLM"
    assert [found["name"] for found in inspect.call("scan", 60, roots=[str(tmp_path)])] == ["lamb"]
    with pytest.raises(ModelError, match="does not exist") as caught:
        inspect.call("model_facts", 60, path=str(tmp_path / "nothing"))
    assert "config.json" in caught.value.hint
    assert len(_helpers()) == 1  # one process for all of it
    with pytest.raises(ServiceError, match="mistake of this program"):
        inspect.call("model_facts", 60, wrong=1)
    assert "TypeError" in (tmp_path / "data" / "logs" / "inspect-service.log").read_text()


def test_a_gpu_is_seen_through_the_helper(service: Callable[[str], Service]) -> None:
    sample = service("sensors").call("sample", 60)
    assert [gpu["name"] for gpu in sample["gpus"]] == ["Fake RTX"]


def test_a_driver_that_hangs_is_told_while_the_rest_is_shown(
    service: Callable[[str], Service], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_NVML", "hang")
    sensors = service("sensors")
    for _ in range(3):
        sample = sensors.call("sample", 60)
        assert "driver has not answered" in sample["gpu_problem"]
        assert sample["memory_total"] > 0
    assert len(_helpers()) == 1


@posix_only
def test_a_helper_that_hangs_is_ended_in_time_and_started_again(service: Callable[[str], Service]) -> None:
    sensors = service("sensors")
    sensors.call("sample", 60)
    (helper,) = _helpers()
    helper.send_signal(signal.SIGSTOP)
    start = time.monotonic()
    with pytest.raises(ServiceError, match=r"took longer than 0\.5 s and was ended"):
        sensors.call("sample", 0.5)
    assert time.monotonic() - start < 5
    assert not helper.is_running() or helper.status() == psutil.STATUS_ZOMBIE
    assert sensors.call("sample", 60)["memory_total"] > 0


def test_a_helper_that_dies_is_told_and_started_again(service: Callable[[str], Service]) -> None:
    inspect = service("inspect")
    inspect.call("scan", 60, roots=[])
    _helpers()[0].kill()
    with pytest.raises(ServiceError, match="ended without an answer"):
        inspect.call("scan", 60, roots=[])
    assert inspect.call("scan", 60, roots=[]) == []


def test_a_slow_start_is_waited_for_over_several_calls(service: Callable[[str], Service]) -> None:
    sensors = service("sensors")
    with pytest.raises(ServiceError, match="still starting"):
        sensors.call("sample", 0.001)
    (helper,) = _helpers()
    assert sensors.call("sample", 60)["memory_total"] > 0
    assert _helpers() == [helper]


@posix_only
def test_a_second_caller_is_not_held_longer_than_it_asked_for(service: Callable[[str], Service]) -> None:
    sensors = service("sensors")
    sensors.call("sample", 60)
    _helpers()[0].send_signal(signal.SIGSTOP)
    failed: list[str] = []

    def call_for_long() -> None:
        try:
            sensors.call("sample", 60)
        except ServiceError as error:
            failed.append(error.message)

    first = threading.Thread(target=call_for_long)
    first.start()
    assert wait_until(sensors._lock.locked, 10)
    with pytest.raises(ServiceError, match="had to wait"):
        sensors.call("sample", 0.2)
    sensors.close()  # ends the call of the other thread too
    first.join(timeout=20)
    assert "ended without an answer" in failed[0]


def test_a_helper_does_not_outlive_its_owner(tmp_path: Path) -> None:
    program = (
        "import time, psutil\n"
        "from desktop_app.services.client import Service\n"
        "service = Service('inspect')\n"
        "service.call('scan', 60, roots=[])\n"
        "print(psutil.Process().children()[0].pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    environment = {**os.environ, "WHETSTONE_DATA_DIR": str(tmp_path)}
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, cwd=ROOT, env=environment, text=True
    ) as owner:
        assert owner.stdout is not None
        helper = psutil.Process(int(owner.stdout.readline()))
        owner.kill()
    gone, _ = psutil.wait_procs([helper], timeout=20)
    assert gone == [helper]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux keeps this limit")
def test_memory_beyond_the_cap_is_an_error_not_a_full_computer() -> None:
    program = (
        "from desktop_app.services import run\n"
        "run._cap_memory(2 * 1024**3)\n"
        "def greedy(): return len(bytearray(4 * 1024**3))\n"
        "print(run._answer({'greedy': greedy}, {'method': 'greedy', 'params': {}})['error']['message'])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=True)
    assert "more memory" in done.stdout
